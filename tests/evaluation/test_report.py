import json
import re

from rim.evaluation.metrics import Score, score
from rim.evaluation.predictions import Prediction
from rim.evaluation.protocol import SelectionResult
from rim.evaluation.report import accuracy_report, selection_report, to_json
from rim.report.proportion import Proportion


def uneven() -> Score:
    """Four examples, two blocks: block 1 right on the first, block 2 on the second and third."""
    marks = [(True, False), (False, True), (False, True), (False, False)]
    sizes = ["1 digit", "1 digit", "2 digits", "2 digits"]
    return score(
        Prediction(f"x/{n}", "q", "1", [1, 1, 1, 3][n], ("?", "?"), correct, sizes[n])
        for n, correct in enumerate(marks)
    )


def removed() -> Score:
    return score(Prediction(f"x/{n}", "q", "1", 1, ("?",), (n == 0,), "1 digit") for n in range(4))


def cells(report: str, start: str) -> list[str]:
    """The cells of the only line that begins with `start`."""
    (line,) = [line for line in report.split("\n") if line.startswith(f"| {start} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_report_holds_every_number():
    report = accuracy_report("tracking/test", uneven(), {"removed": removed()}, 0.9)
    assert report.startswith("## tracking/test: 4 distinct examples\n\nFinal answer, after block 2: accuracy **0.500**")
    low, high = Proportion(2, 4).interval(0.9)
    interval = f"{low:.3f} to {high:.3f}"
    assert f"90 % interval {interval} (Wilson)" in report
    blocks, steps, sizes, controls = re.split(r"\n### .*\n", report)
    assert cells(blocks, "block 1")[1::2] == ["0.250", "1"]
    assert cells(blocks, "block 2 (final)") == ["block 2 (final)", "0.500", interval, "2"]
    assert cells(blocks, "any block (oracle)")[1::2] == ["0.750", "3"]
    assert "an upper bound, not a score" in blocks
    assert cells(steps, "answer read after")[1:] == ["1 step", "3 steps"]
    assert cells(steps, "block 1")[1:] == ["0.333", "0.000"]
    assert cells(steps, "block 2 (final)")[1:] == ["0.667", "0.000"]
    assert cells(steps, "examples")[1:] == ["3", "1"]
    assert cells(sizes, "2 digits")[1::2] == ["0.500", "2"]
    assert cells(controls, "as trained") == ["as trained", "nothing", "0.500", interval, "", "4"]
    low, high = Proportion(1, 4).interval(0.9)
    assert cells(controls, "removed") == ["removed", "no blocks", "0.250", f"{low:.3f} to {high:.3f}", "0.250", "4"]


def test_a_control_that_scores_higher_has_a_negative_drop():
    report = accuracy_report("x", removed(), {"swapped": uneven()}, 0.95)
    assert cells(report, "swapped")[1] == "keys and values"
    assert cells(report, "swapped")[4] == "-0.250"


def test_a_method_without_blocks_has_no_oracle_and_no_block_numbers():
    report = accuracy_report("x", removed(), {}, 0.95)
    assert "block" not in report and "oracle" not in report and "Controls" not in report


def test_no_line_is_wider_than_a_terminal():
    rows = [Prediction(f"x/{n}", "q", "1", n % 21 + 1, ("?",) * 16, (True,) * 16, "not a number") for n in range(5200)]
    report = accuracy_report("gsm8k/test", score(rows), {"removed": score(rows)}, 0.95)
    assert max(map(len, report.split("\n"))) <= 100
    assert "21 steps" in report and "right of 5,200" in report


def test_nothing_scored_is_said():
    assert accuracy_report("x", Score(), {}, 0.95) == "## x\n\nNo examples were scored."


def test_json_has_plain_types_and_every_count():
    plain = to_json(uneven())
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["final"] == {"correct": 2, "count": 4, "accuracy": 0.5}
    assert plain["by_steps"]["1"]["count"] == 3
    assert plain["by_steps_and_block"]["1"][0] == {"correct": 1, "count": 3, "accuracy": 1 / 3}
    assert json.loads(json.dumps(to_json(Score()), allow_nan=False))["final"]["accuracy"] is None


def test_the_selection_is_one_sentence_and_who_was_chosen():
    result = SelectionResult(0.336, 0.0041, (("b", 0.33), ("a", 0.34), ("b", 0.338)), 264, 1319)
    text = selection_report(result)
    assert text.startswith("Selection protocol: 0.336 ± 0.004 (mean ± standard error of 3 random splits")
    assert "264 examples choose the checkpoint, the other 1,055 score it" in text
    assert cells(text, "b") == ["b", "2"]
