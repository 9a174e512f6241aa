"""What the two figures show: every entry where its numbers are and borders between test sets."""

import pytest
from matplotlib.figure import Figure

from rim.report.statistics import Estimate
from rim.studies.comparison.figures import latency_figure, steps_figure, strips_of, styles
from rim.studies.comparison.summary import Cost, EntrySummary, SourceSummary, Summary


def score(value: float) -> Estimate:
    return Estimate(value, max(0.0, value - 0.05), min(1.0, value + 0.05), (value,))


def entry(
    name: str, value: float, full_ms: float | None, budget: str = "", **sources: dict[int, float]
) -> EntrySummary:
    """With the accuracy `value` on each of the sources, which are given as task__split={steps: accuracy}."""
    tests = {
        source.replace("__", "/"): SourceSummary(
            100, score(value), None, {n: score(share) for n, share in by_steps.items()}, [value], {}, None
        )
        for source, by_steps in sources.items()
    }
    times = {"mean": full_ms, "p10": full_ms * 0.9, "p90": full_ms * 1.2} if full_ms else None
    latency = {"full_ms": times, "source": next(iter(tests))} if times else {}
    return EntrySummary(budget, name, [0], tests, Cost(1, 1, 1, 0, latency))


def summary(*entries: EntrySummary) -> Summary:
    return Summary("x", "direct", 0.95, list(entries))


SPLITS = {"tracking__test": {1: 0.9, 2: 0.7}, "tracking__ood": {3: 0.4, 5: 0.3}}


def points(figure: Figure) -> list[tuple[float, float]]:
    return [tuple(container.lines[0].get_xydata()[0].tolist()) for container in figure.axes[0].containers]


def test_accuracy_over_waiting_time() -> None:
    figure = latency_figure(summary(entry("direct", 0.2, 5, **SPLITS), entry("cot", 0.8, 80, **SPLITS)))
    assert figure is not None and len(figure.axes) == 2
    axes = figure.axes[0]
    assert axes.get_xscale() == "log" and axes.get_xlim()[0] < 5 < 80 < axes.get_xlim()[1]
    assert points(figure) == [(5, 0.2), (80, 0.8)]
    told = "time to the full answer (ms, logarithmic)\non questions of tracking/test"
    assert figure.axes[1].get_xlabel() == told and axes.get_ylabel() == "accuracy (95 % interval)"
    low, high = axes.containers[0].lines[2][1].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((0.15, 0.25))


@pytest.mark.parametrize(("times", "marked"), [((5, 5), {4, 5, 6, 8}), ((1.1, 1.1), {1, 1.2, 1.5}), ((5, 80), {5, 50})])
def test_an_axis_of_time_has_two_marks_or_more(times: tuple[float, float], marked: set[float]) -> None:
    figure = latency_figure(
        summary(*(entry(name, 0.2, ms, **SPLITS) for name, ms in zip(("direct", "cot"), times, strict=True)))
    )
    assert figure is not None and set(figure.axes[0].get_xticks()) >= marked


def test_without_waiting_times_there_is_no_such_figure() -> None:
    assert latency_figure(summary(entry("direct", 0.2, None, **SPLITS))) is None
    figure = latency_figure(summary(entry("direct", 0.2, None, **SPLITS), entry("cot", 0.2, 3, **SPLITS)))
    assert figure is not None and points(figure) == [(3, 0.2)]


def test_accuracy_over_steps_goes_on_beyond_the_border() -> None:
    figure = steps_figure(summary(entry("direct", 0.5, None, **SPLITS), entry("cot", 0.5, None, **SPLITS)))
    assert figure is not None and len(figure.axes) == 1
    lines = {line.get_color(): line.get_xydata().tolist() for line in figure.axes[0].lines}
    assert lines["black"] == [[1, 0.9], [2, 0.7], [3, 0.4], [5, 0.3]]
    assert lines["0.35"] == [[2.5, 0], [2.5, 1]] and sorted(text.get_text() for text in figure.axes[0].texts) == [
        "ood",
        "test",
    ]
    assert len(figure.axes[0].collections) == 2, "a band for each entry"
    assert figure.axes[0].get_xlabel() == "reasoning steps"


def test_which_test_sets_share_a_panel() -> None:
    one = entry(
        "direct", 0.5, None,
        tracking__ood={5: 0.1}, tracking__test={1: 0.5, 4: 0.2}, arithmetic__test={1: 0.2},
        gsm8k__test={1: 0.1, 8: 0.1}, gsm8k__other={2: 0.1, 3: 0.1}, gsm_hard__test={0: 0.1},
    )  # fmt: skip
    assert [strip.sources for strip in strips_of(summary(one))] == [
        ("tracking/test", "tracking/ood"), ("gsm8k/test",), ("gsm8k/other",),
    ]  # fmt: skip
    assert steps_figure(summary(entry("direct", 0.5, None, own__test={2: 0.1}))) is None, "one point is no curve"
    assert steps_figure(summary(entry("direct", 0.5, None, gsm_hard__test={0: 0.1}))) is None


def test_budgets_stand_side_by_side_in_one_look() -> None:
    both = [entry(name, 0.5, 5, budget, **SPLITS) for budget in ("a", "b") for name in ("cot", "direct")]
    figure = latency_figure(summary(*both))
    assert figure is not None and [axes.get_title("left") for axes in figure.axes[:2]] == [
        "tracking/test\nbudget a", "tracking/test\nbudget b",
    ]  # fmt: skip
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["cot", "direct (reference)"]


def test_no_two_entries_look_alike() -> None:
    looks = styles(summary(*(entry(name, 0.5, None, **SPLITS) for name in ["direct", *(f"e{n}" for n in range(20))])))
    assert looks["direct"].color == "black" and len({(look.color, look.linestyle) for look in looks.values()}) == 21
