"""A sweep as Markdown and CSV: order and content of rows, the command for the best point, what the footer admits."""

import csv
import io
import shlex
from dataclasses import replace

import pytest

from rim.settings.commandline import parse
from rim.studies.sweeps.outcome import VALIDATION, SweepResult
from rim.studies.sweeps.summary import Summary, summarise
from rim.studies.sweeps.tables import (
    baselines_table,
    best_command,
    best_point,
    csv_text,
    footer,
    further_tables,
    main_tables,
    markdown,
    points_table,
)
from tests.studies.sweeps.fakes import BLOCKS, FACTS, grid, other_blocks, point, search, sweep, variants


def rows(text: str) -> list[list[str]]:
    """Cells of all lines of a Markdown table but the rule."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n") if line[:1] == "|"]
    return [lines[0], *lines[2:]]


def with_gap() -> Summary:
    """A grid with a pruned point and a failed one."""
    points = list(grid().points)
    points[5] = replace(points[5], state="pruned", seeds=(), pruned_at=1600)
    points[7] = replace(points[7], state="failed", seeds=())
    return summarise(replace(grid(), points=tuple(points)))


def test_a_row_has_axes_scores_with_intervals_spread_and_costs() -> None:
    points = [point(0, {"memory.blocks": 2}, 0.5, 0.6), point(1, {"memory.blocks": 1}, 0.25)]
    header, first, second = rows(points_table(summarise(sweep([BLOCKS], points))))
    assert header == [
        "memory.blocks", VALIDATION, "tracking/test", "tracking/ood", "sd of validation", "seeds", "updates", "minutes",
    ]  # fmt: skip
    assert first[0] == "1" and second[0] == "2", "in the order of the grid"
    assert first[1].startswith("0.250 [0.2") and first[4:] == ["—", "1", "3,000", "4.2"]
    assert second[1].startswith("0.549 [") and second[4:] == ["0.070", "2", "3,000", "4.2"]


def test_states_stand_there_only_where_one_is_not_complete() -> None:
    assert rows(points_table(summarise(grid())))[0][-1] == "minutes"
    header, *points = rows(points_table(with_gap()))
    assert header[-1] == "state" and [row[-1] for row in points].count("complete") == 10
    assert points[5] == ["2", "4", "—", "—", "—", "—", "0", "—", "—", "pruned at 1,600"]
    assert points[7][-1] == "failed"


def test_a_search_is_listed_best_first() -> None:
    shown = [row[2] for row in rows(points_table(summarise(search())))[1:]]
    assert shown[0] == max(shown[:18]) and shown[18:] == ["—"] * 6


def test_baselines_stand_below_with_the_same_columns() -> None:
    summary = summarise(variants())
    header, direct = rows(baselines_table(summary))
    assert header[1:] == rows(points_table(summary))[0][1:]
    assert direct[0] == "direct" and direct[1].startswith("0.430 [")
    text = main_tables(summary)
    assert text.index("only_refinement") < text.index("Baselines") < text.index("| direct")
    assert "Baselines" not in main_tables(summarise(variants(baselines={})))


def test_the_best_point_comes_with_a_command_that_can_be_pasted() -> None:
    summary = summarise(grid())
    assert best_point(summary).startswith(
        "Best of 12 by validation: **blocks=8, insertion_layer=0** (validation 0.756 [0.7"
    )
    program, *words = shlex.split(best_command(summary))[1:]
    line = parse("fit", "", words[1:])
    assert (program, words[0]) == ("-m", "rim.fit") and line.files == ("conf/tracking.yaml",)
    assert line.overrides == (
        "stages.*.learning_rate=2e-3", "memory.blocks=8", "memory.insertion_layer=0",
        "run.name=sweeps/fake/best", "run.seed=0",
    )  # fmt: skip
    assert "'stages.*.learning_rate=2e-3'" in best_command(summary), "quoted for the shell"


def test_a_command_without_files_and_none_where_settings_are_unknown() -> None:
    assert best_command(summarise(grid(base=()))).startswith("python -m rim.fit 'stages.*.learning_rate=2e-3' memory")
    assert "```" not in best_point(summarise(variants(base=(), overrides=())))


def test_there_is_no_best_of_nothing() -> None:
    assert best_point(summarise(sweep([BLOCKS], [point(0, {"memory.blocks": 1}, state="failed")]))) == ""


def test_the_footer_says_where_numbers_come_from_and_what_the_best_is_worth() -> None:
    text = footer(with_gap())
    assert "Commit 0123456789ab; seeds 0, 1; Slow CPU, 2 cores, 1 thread(s) a run; python 3.11.7" in text
    assert "12 trials by grid: 10 complete, 1 pruned, 1 failed." in text
    assert "2,000 resamples over seeds and examples, from counts" in text and "so few seeds" in text
    assert (
        "best of 10 points is chosen by its validation score, which makes that score optimistic; the test scores"
        in text
    )


def test_the_footer_of_one_seed_claims_nothing_about_seeds() -> None:
    text = footer(summarise(grid(1, baselines={})))
    assert "over examples alone: one seed says nothing about other seeds" in text and "sd is" not in text
    mixed = footer(summarise(grid(1)))
    assert "of points with one seed over examples alone" in mixed


def test_the_footer_warns_of_a_test_score_that_chose_and_of_runs_that_were_not_alike() -> None:
    commits = [*FACTS["commits"], {"commit": "fedcba9876543210", "dirty": True}]
    text = footer(summarise(grid(metric="tracking/ood", facts=FACTS | {"commits": commits}, notes=("Two machines.",))))
    assert "chosen by its tracking/ood score, which makes that score optimistic; and it is a test score" in text
    assert "**Runs were made by different commits: a difference may be the code's.**" in text
    assert "Commit 0123456789ab and fedcba987654 with uncommitted changes" in text and "**Two machines.**" in text


@pytest.mark.parametrize("facts", [{}, {"commits": [None], "hardware": [None], "versions": [None], "threads": [None]}])
def test_unknown_facts_are_no_obstacle(facts: dict[str, list[None]]) -> None:
    text = footer(summarise(grid(facts=facts)))
    assert "12 trials by grid: 12 complete." in text and ("unknown hardware" in text) == bool(facts)


def test_means_along_axes_and_other_numbers_of_blocks_have_tables() -> None:
    tables = dict(further_tables(with_gap()))
    assert list(tables) == [
        "Mean over all points along memory.blocks: blocks K",
        "Mean over all points along memory.insertion_layer: insertion layer ℓ (0 = embeddings)",
    ]
    shown = rows(tables["Mean over all points along memory.blocks: blocks K"])
    assert [row[:2] for row in shown[1:]] == [["1", "3 of 3"], ["2", "2 of 3"], ["4", "2 of 3"], ["8", "3 of 3"]]
    read = dict(further_tables(summarise(other_blocks())))
    assert list(read) == [f"tracking/{split}: read with other numbers of blocks" for split in ("test", "ood")]
    header, first, *_ = rows(read["tracking/test: read with other numbers of blocks"])
    assert header == ["point", "trained with", "1", "2", "3", "4", "6", "8", "16"]
    assert first[:2] == ["blocks=2", "2"] and first[3].startswith("0.510 [")


def test_the_document_begins_with_the_question_and_ends_with_the_footer() -> None:
    text = markdown(summarise(grid()))
    assert text.startswith("# sweeps/fake\n\nHow many blocks, and at which layer do they enter?\n\nBest of 12")
    assert text.rstrip().endswith("the test scores are not chosen by.")


def csv_rows(result: SweepResult) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_text(summarise(result)))))


def test_a_row_of_the_csv_is_a_run() -> None:
    found = csv_rows(grid())
    assert len(found) == 12 * 2 + 2 and [row["baseline"] for row in found[-2:]] == ["direct", "direct"]
    first, run = found[0], grid().points[0].seeds[0]
    assert (first["memory.blocks"], first["memory.insertion_layer"], first["seed"], first["state"]) == (
        "1", "0", "0", "complete",
    )  # fmt: skip
    assert int(first["validation right"]) == run.scores[VALIDATION].correct and first["validation examples"] == "264"
    assert float(first["validation accuracy"]) == run.scores[VALIDATION].value
    assert (first["updates"], first["minutes"], first["folder"]) == ("3000", "4.2", "runs/seed-0")


def test_points_without_runs_keep_a_row_and_runs_of_unfinished_points_theirs() -> None:
    points = [
        point(0, {"memory.blocks": 1}, state="pruned", pruned_at=10),
        point(1, {"memory.blocks": 2}, 0.5, state="running"),
    ]
    found = csv_rows(sweep([BLOCKS], points, baselines={}))
    assert [(row["state"], row["seed"]) for row in found] == [("pruned", ""), ("running", "0")]
    read = csv_rows(other_blocks())[0]
    assert float(read["tracking/test read with 1"]) == pytest.approx(0.42) and "tracking/ood read with 16" in read
