"""Which checkpoint is kept: the best of each stage, the later of equals; the last of each; one final pick."""

import json
from pathlib import Path

import pytest

from rim.training.selection import Candidate, Selection
from tests.runs import curve


@pytest.mark.parametrize(
    ("scores", "best", "kept"),
    [
        ([3], 1, [1]),
        ([3, 2, 1], 1, [1]),
        ([1, 2, 3], 3, [1, 2, 3]),
        ([3, 3, 2], 2, [1, 2]),
        ([0, 0, 0], 3, [1, 2, 3]),
        ([2, 5, 4, 5, 1], 4, [1, 2, 4]),
    ],
)
def test_best_is_the_later_of_equals(scores: list[int], best: int, kept: list[int]) -> None:
    selection = Selection()
    offered = [selection.update_best("s", update, correct, 8) for update, correct in enumerate(scores, 1)]
    assert [update for update, taken in enumerate(offered, 1) if taken] == kept
    assert selection.best["s"] == Candidate("s-best", "s", best, max(scores), 8)


def test_final_pick_is_the_best_of_the_last_stage_however_good_an_earlier_one_was() -> None:
    selection = Selection()
    assert selection.final is None and selection.state()["final"] is None
    selection.update_best("grounding", 5, 8, 8)
    selection.close("grounding", 5, 8, 8)
    assert selection.final == Candidate("grounding-best", "grounding", 5, 8, 8)
    selection.update_best("refinement", 9, 1, 8)
    selection.update_best("refinement", 12, 0, 8)
    selection.close("refinement", 12, 0, 8)
    assert selection.final == Candidate("refinement-best", "refinement", 9, 1, 8)
    assert selection.last["refinement"].update == 12


def test_selection_comes_back_from_a_checkpoint() -> None:
    selection = Selection()
    for update, correct in ((5, 2), (10, 1)):
        selection.update_best("grounding", update, correct, 8)
    selection.close("grounding", 10, 1, 8)
    again = Selection.from_state(json.loads(json.dumps(selection.state())))
    assert again == selection
    assert not again.update_best("grounding", 11, 1, 8) and again.update_best("refinement", 12, 0, 8)
    assert again.final is not None and again.final.name == "refinement-best"


def test_selection_of_a_run_is_that_of_its_curve(straight: Path) -> None:
    scores = [record for record in curve(straight) if "accuracy" in record]
    assert [record["update"] for record in scores] == [5, 10, 12, 17, 20]
    assert len({record["accuracy"] for record in scores}) > 1, "equal scores would choose nothing"
    chosen = json.loads((straight / "selection.json").read_text())
    for stage, last in (("grounding", 12), ("refinement", 20)):
        own = [record for record in scores if record["stage"] == stage]
        best = max(own, key=lambda record: (record["accuracy"], record["update"]))
        assert chosen["best"][stage]["update"] == best["update"]
        assert chosen["best"][stage]["correct"] / 16 == best["accuracy"]
        assert chosen["last"][stage]["update"] == last
    assert chosen["final"] == "refinement-best"
