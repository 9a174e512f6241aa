"""What the figures show: every point where its numbers are, and nothing cut off or covered."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rim.report.proportion import Proportion
from rim.studies.sweeps.heat_map import FRAME, heat_map
from rim.studies.sweeps.outcome import VALIDATION, Axis, SweepResult
from rim.studies.sweeps.read_blocks import lines_of, read_blocks
from rim.studies.sweeps.scales import Scale
from rim.studies.sweeps.search import history, importances, importances_figure
from rim.studies.sweeps.slices import slices
from rim.studies.sweeps.summary import Summary, summarise
from tests.studies.sweeps.fakes import BLOCKS, LAYER, RATE, grid, other_blocks, point, search, study_of, sweep, variants

PLACEMENT = Axis("memory.placement", ("after_question", "before_question", "sentence_ends"))


def drawn(picture: Callable[[Summary], Figure | None], result: SweepResult) -> Figure:
    figure = picture(summarise(result))
    assert figure is not None
    return figure


def read_grid(keep: int = 12) -> SweepResult:
    """Points of a grid, each also read with one block."""
    read = {"tracking/test": {1: Proportion(30, 600)}}
    points = [replace(p, seeds=tuple(replace(r, read_with=read) for r in p.seeds)) for p in grid().points[:keep]]
    return replace(grid(), points=tuple(points))


def with_gap() -> SweepResult:
    """A grid with a point that was not run, a pruned and a failed one."""
    points = list(grid().points)
    points[5] = replace(points[5], state="pruned", seeds=())
    points[7] = replace(points[7], state="failed", seeds=())
    return replace(grid(), points=tuple(points[:2] + points[3:]))


def three_axes(count: int = 3) -> SweepResult:
    """Two axes, and where the blocks stand: the later, the worse."""
    axis = replace(PLACEMENT, values=tuple(f"place_{n}" for n in range(count)))
    spots = itertools.product(BLOCKS.values, LAYER.values, enumerate(axis.values))
    points = [
        point(n, {BLOCKS.name: k, LAYER.name: layer, axis.name: name}, 0.4 + 0.03 * k - 0.05 * index)
        for n, (k, layer, (index, name)) in enumerate(spots)
    ]
    return sweep([BLOCKS, LAYER, axis], points)


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    return [text.get_text() for text in found.get_texts()] if found else []


def title(figure: Figure) -> str:
    return figure.get_suptitle()


def note(figure: Figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


def bars(axes: Axes) -> list[tuple[float, float, float]]:
    """(mean, low, high) of every point with bars."""
    ends = [(c.lines[0].get_ydata()[0], c.lines[2][0].get_segments()[0][:, 1]) for c in axes.containers]
    return [(float(y), float(segment[0]), float(segment[1])) for y, segment in ends]


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def test_a_heat_map_has_a_panel_for_each_source_and_a_number_in_each_cell() -> None:
    figure = drawn(heat_map, grid())
    held, test, ood = panels(figure)
    assert [axes.get_title("left").split("\n")[0] for axes in (held, test, ood)] == [
        VALIDATION, "tracking/test", "tracking/ood",
    ]  # fmt: skip
    assert held.get_title("left").endswith("baseline direct: 0.430 ± 0.029")
    assert (held.get_xlabel(), held.get_ylabel()) == ("blocks K", "insertion layer ℓ\n(0 = embeddings)")
    assert [t.get_text() for t in held.get_xticklabels()] == ["1", "2", "4", "8"]
    assert [len(words(axes)) for axes in (held, test, ood)] == [12, 12, 12]
    at = {text.get_position(): text.get_text() for text in held.texts}
    assert at[(3.5, 0.5)] == "0.756\n± 0.003", "eight blocks at layer 0"
    assert "How many blocks" in title(figure) and "2 seeds" in title(figure)
    bar = next(axes for axes in figure.axes if axes.get_label() == "<colorbar>")
    assert bar.get_ylabel() == "accuracy" and bar.get_ylim() == pytest.approx((0.1475, 0.7557), abs=0.01)


def test_the_best_cell_is_framed_in_every_panel() -> None:
    for axes in panels(drawn(heat_map, grid())):
        frames = [p for p in axes.patches if isinstance(p, Rectangle) and not p.get_fill()]
        assert [(round(p.get_x()), round(p.get_y())) for p in frames] == [(3, 0)]
        assert axes.texts and FRAME


def test_cells_without_a_score_are_hatched_and_say_why() -> None:
    held = panels(drawn(heat_map, with_gap()))[0]
    assert sorted(text for text in words(held) if not text.startswith("0.")) == ["failed", "not run", "pruned"]
    assert sum(patch.get_hatch() is not None for patch in held.patches) == 3
    assert "Hatched: no score" in note(drawn(heat_map, with_gap()))
    assert "Hatched" not in note(drawn(heat_map, grid()))


def test_one_seed_has_no_spread() -> None:
    figure = drawn(heat_map, grid(1))
    assert "one seed" in title(figure) and "±" not in "".join(words(panels(figure)[0])) + title(figure)


def test_a_third_axis_gives_rows_of_panels_or_the_best_over_it() -> None:
    figure = drawn(heat_map, three_axes())
    assert len(panels(figure)) == 9
    assert [axes.get_title("left").split("\n")[0] for axes in panels(figure)[::3]] == [
        f"{VALIDATION}; placement=place_{n}" for n in range(3)
    ]
    many = drawn(heat_map, three_axes(5))
    assert len(panels(many)) == 3 and "the best validation score over where the blocks stand" in title(many).replace(
        "\n", " "
    )
    best = {text.get_position(): text.get_text() for text in panels(many)[0].texts}
    assert float(best[(3.5, 0.5)]) == pytest.approx(0.64, abs=0.003), "that of the first place"


def test_names_go_up_and_numbers_across() -> None:
    spots = itertools.product(PLACEMENT.values, (1, 2))
    blocks = replace(BLOCKS, values=(1, 2))
    points = [point(n, {PLACEMENT.name: p, BLOCKS.name: k}, 0.5) for n, (p, k) in enumerate(spots)]
    held = panels(drawn(heat_map, sweep([PLACEMENT, blocks], points)))[0]
    assert held.get_xlabel() == "blocks K" and [t.get_text() for t in held.get_yticklabels()] == [*PLACEMENT.values]


@pytest.mark.parametrize(
    "result", [variants(), search(), sweep([BLOCKS, LAYER], [])], ids=["one axis", "range", "none"]
)
def test_no_heat_map_without_two_lists_or_scores(result: SweepResult) -> None:
    assert heat_map(summarise(result)) is None


def test_slices_have_a_column_for_each_axis_and_a_row_for_each_source() -> None:
    figure = drawn(slices, grid())
    assert len(figure.axes) == 6
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == [
        f"accuracy on {source}" for source in (VALIDATION, "tracking/test", "tracking/ood")
    ]
    assert [axes.get_xlabel() for axes in figure.axes[-2:]] == ["blocks K", "insertion layer ℓ (0 = embeddings)"]
    assert [axes.get_xscale() for axes in figure.axes[-2:]] == ["log", "linear"]
    assert legend(figure.axes[0]) == [*(f"insertion_layer={n}" for n in (0, 2, 4)), "baseline direct"]
    assert "95 % interval over seeds and examples" in note(figure) and "single runs" in note(figure)


def test_of_two_axes_there_is_a_line_for_each_value_of_the_other_with_bars_and_seeds() -> None:
    summary = summarise(grid())
    axes = drawn(slices, grid()).axes[0]
    expected = sorted(
        (p.scores[VALIDATION].value, p.scores[VALIDATION].low, p.scores[VALIDATION].high) for p in summary.points
    )
    np.testing.assert_allclose(sorted(bars(axes)), expected)
    lines = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 4]
    assert len(lines) == 3
    dots = [y for line in axes.lines if line.get_marker() == "." for y in line.get_ydata()]
    assert sorted(dots) == pytest.approx(sorted(s for p in summary.points for s in p.scores[VALIDATION].per_seed))


def test_baselines_are_lines_with_their_interval_as_a_band() -> None:
    axes = drawn(slices, variants()).axes[0]
    score = summarise(variants()).baselines["direct"].scores[VALIDATION]
    across = [line for line in axes.lines if line.get_label() == "baseline direct"]
    assert list(across[0].get_ydata()) == pytest.approx([score.value] * 2)
    box = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (box.y0, box.y1) == pytest.approx((score.low, score.high))


def test_a_line_has_a_gap_where_there_is_no_score() -> None:
    axes = drawn(slices, with_gap()).axes[0]
    lines = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 4]
    assert [np.isnan(line.get_ydata()).tolist() for line in lines] == [
        [False] * 4, [False, False, True, False], [True, True, False, False],
    ]  # fmt: skip
    assert "Without scores: 1 pruned, 1 failed." in note(drawn(slices, with_gap()))


def test_of_three_axes_means_over_all_points_are_shown() -> None:
    figure = drawn(slices, three_axes())
    assert len(figure.axes) == 9 and legend(figure.axes[2])[0] == "mean over all points with the value"
    found = [mean for mean, _, _ in bars(figure.axes[2])]
    assert found == pytest.approx([0.5125, 0.4625, 0.4125], abs=0.003)
    assert "the other axes change" in note(figure)


def test_variants_stand_side_by_side_and_their_sources_too() -> None:
    figure = drawn(slices, variants())
    assert len(figure.axes) == 3 and [axes.get_ylabel() for axes in figure.axes][1] == "accuracy on tracking/test"
    for axes in figure.axes:
        assert [label.get_text() for label in axes.get_xticklabels()][1] == "switch_at_75_percent"
        assert axes.get_xticklabels()[1].get_rotation() == 25
    assert [x for c in figure.axes[0].containers for x in c.lines[0].get_xdata()] == [0, 1, 2, 3, 4]


def test_along_a_range_every_trial_stands_for_itself() -> None:
    result = search()
    axes = drawn(slices, result).axes[0]
    rates = sorted(p.values[RATE.name] for p in result.points if p.finished)
    assert sorted(x for c in axes.containers for x in c.lines[0].get_xdata()) == pytest.approx(rates)
    assert axes.get_xscale() == "log" and legend(axes) == [*(f"blocks={k}" for k in (1, 2, 4, 8)), "baseline direct"]


def test_other_numbers_of_blocks_have_a_line_for_each_model_and_a_ring_at_the_trained_one() -> None:
    figure = drawn(read_blocks, other_blocks())
    assert [axes.get_title("left") for axes in figure.axes] == ["tracking/test", "tracking/ood"]
    axes = figure.axes[0]
    assert axes.get_xlabel() == "blocks read at inference" and len(bars(axes)) == 3 * 7
    rings = [line for line in axes.lines if line.get_gid() == "trained"]
    assert [float(ring.get_ydata()[0]) for ring in rings] == pytest.approx([0.51, 0.56, 0.61], abs=0.002)
    names = legend(figure.axes[-1])
    assert names == [*(f"trained with K = {k}" for k in (2, 4, 8)), "baseline direct"]


def test_of_many_models_those_with_the_same_number_of_blocks_share_a_line() -> None:
    lines, heading = lines_of(summarise(read_grid()))
    assert [line.label for line in lines] == [f"trained with K = {k}" for k in (1, 2, 4, 8)]
    assert "mean over all other settings" in heading
    assert list(lines[3].scores["tracking/test"]) == [1, 8]
    assert lines[3].scores["tracking/test"][1].value == pytest.approx(0.05)
    same = tuple(replace(p, values={**p.values, "memory.blocks": 1}, blocks=1) for p in read_grid().points)
    few, heading = lines_of(summarise(replace(grid(), points=same)))
    assert len(few) == 7 and "the best 7 points by validation accuracy" in heading


def test_without_other_numbers_of_blocks_there_is_no_such_figure() -> None:
    assert read_blocks(summarise(grid())) is None


def test_history_has_every_trial_and_the_best_so_far() -> None:
    result, before = search(), dict(rcParams)
    figure = history(summarise(result), study_of(result))
    assert figure is not None and dict(rcParams) == before, "Optuna's style is its figure's alone"
    axes = figure.axes[0]
    scored = [(p.number, p.seeds[0].scores[VALIDATION].value) for p in result.points if p.finished]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), scored)
    best = next(line for line in axes.lines if line.get_label() == "Best Value")
    np.testing.assert_allclose([best.get_ydata()[n] for n, _ in scored], np.maximum.accumulate([v for _, v in scored]))
    assert legend(axes) == ["validation accuracy", "Best Value", "baseline direct"]
    assert title(figure) == result.question


def test_a_grid_has_no_history() -> None:
    assert history(summarise(grid()), study_of(grid())) is None
    assert history(summarise(search()), None) is None
    assert history(summarise(search(sampler="random")), study_of(search())) is not None


def test_importances_find_the_setting_that_matters() -> None:
    summary = summarise(search(40))
    found = importances(summary, study_of(search(40)))
    assert sum(found.shares.values()) == pytest.approx(1) and next(iter(found.shares)) == BLOCKS.name
    assert found == importances(summary, study_of(search(40))), "a fixed seed"
    figure = importances_figure(summary, found, study_of(search(40)))
    assert figure is not None
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [RATE.name, BLOCKS.name]
    assert [patch.get_width() for patch in figure.axes[0].patches] == pytest.approx([*found.shares.values()][::-1])


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (variants(), "there is one axis"),
        (search(6), "5 complete trials are too few, it takes 8"),
        (sweep([BLOCKS, LAYER], [replace(p, seeds=grid().points[0].seeds) for p in grid().points]), "score the same"),
    ],
)
def test_importances_are_left_out_with_a_reason(result: SweepResult, reason: str) -> None:
    found = importances(summarise(result), study_of(result))
    assert reason in found.reason and importances_figure(summarise(result), found, None) is None
    assert importances(summarise(result), None).reason == "the study is not at hand"


@pytest.mark.parametrize(
    ("axis", "logarithmic"),
    [
        (BLOCKS, True), (LAYER, False), (RATE, True), (Axis("x", (1, 2, 3, 4)), False), (Axis("x", (8, 64)), False),
        (Axis("x", (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)), True), (Axis("x", (1, 5, 6, 7, 8)), False), (PLACEMENT, False),
        (Axis("x", low=0.0, high=1.0), False), (Axis("x", (True, False)), False),
    ],
)  # fmt: skip
def test_which_axes_are_logarithmic(axis: Axis, logarithmic: bool) -> None:
    assert Scale(axis).logarithmic is logarithmic


def test_names_and_switches_stand_side_by_side() -> None:
    assert Scale(PLACEMENT).place("sentence_ends") == 2 and Scale(PLACEMENT).place("sentence_ends", 0.5) == 2.4
    assert Scale(Axis("x", (True, False))).place(False) == 1
    assert Scale(LAYER).place(2) == 2 and Scale(LAYER).place(2, 0.5) == pytest.approx(2.3)
    assert Scale(BLOCKS).place(4, 0.0) == 4 and Scale(BLOCKS).place(4, 1.0) == pytest.approx(4 * 8**0.15)


FIGURES = {
    "heat map": (heat_map, with_gap()), "slices": (slices, with_gap()), "variants": (slices, variants()),
    "search": (slices, search()), "read": (read_blocks, other_blocks()),
    "read grid": (read_blocks, read_grid(5)),
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_off_or_covered(name: str) -> None:
    picture, result = FIGURES[name]
    figure = drawn(picture, result)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [text for text in [figure._suptitle, figure._supxlabel] if text is not None]
    for axes in figure.axes:
        texts += [axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title, *axes.texts]
        texts += axes.get_legend().get_texts() if axes.get_legend() else []
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text() and text.get_visible()]
    assert all(figure.bbox.padded(1).containsx(box.x0) and figure.bbox.padded(1).containsx(box.x1) for box in boxes)
    assert all(figure.bbox.padded(1).containsy(box.y0) and figure.bbox.padded(1).containsy(box.y1) for box in boxes)
    assert not [(n, m) for n, a in enumerate(boxes) for m, b in enumerate(boxes[:n]) if a.overlaps(b)]
