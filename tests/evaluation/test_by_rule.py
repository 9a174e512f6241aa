"""Further answer rules beside the task's own: what they mark, where they are written, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rim import evaluate
from rim.data import answers
from rim.evaluation import scoring
from rim.evaluation.metrics import score
from rim.evaluation.predictions import Prediction, PredictionError, marked, read_jsonl, write_jsonl
from rim.evaluation.report import accuracy_report
from rim.settings import Config, Data, Evaluation
from rim.settings.checks import problems
from tests.runs import tiny
from tests.swift import fit

ROWS = [
    Prediction("x/0", "q", "72", 1, ("48", "72 clips"), (False, False), "2 digits"),
    Prediction("x/1", "q", "1,080", 1, ("$1,080", "1080.0"), (True, True), "4 digits"),
    Prediction("x/2", "q", "5", 1, ("", ""), (False, False), "1 digit", ("so 5", "it is 5, or 6")),
]


def test_answers_are_marked_again_by_another_rule() -> None:
    strict, lenient = ([marked(row, rule) for row in ROWS] for rule in ("integer", "last_number"))
    assert [row.correct for row in strict] == [(False, False), (True, True), (False, False)]
    assert [row.correct for row in lenient] == [(False, True), (True, True), (True, False)]
    assert [replace(row, correct=old.correct) for row, old in zip(lenient, ROWS, strict=True)] == ROWS


def test_only_a_rule_that_looks_everywhere_reads_the_written_chain() -> None:
    row = Prediction("x/0", "q", "5", 1, ("",), (False,), "", ("so 5",))
    assert [marked(row, rule).final for rule in ("integer", "text", "last_number")] == [False, False, True]


def test_a_written_chain_is_kept_in_the_file_and_files_without_one_are_as_they_were(tmp_path: Path) -> None:
    write_jsonl(ROWS, tmp_path / "rows.jsonl")
    assert read_jsonl(tmp_path / "rows.jsonl") == ROWS
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert ["texts" in line for line in lines] == [False, False, True]


def test_as_many_texts_as_answers() -> None:
    with pytest.raises(PredictionError, match="example 'x/2' has 2 answers and 1 `texts`: there must be one text per"):
        replace(ROWS[2], texts=("so 5",))


def test_the_report_and_the_file_hold_every_rule_with_its_version(tmp_path: Path) -> None:
    own, further = (score(marked(row, rule) for row in ROWS) for rule in ("integer", "last_number"))
    result = scoring.TestResult("x/test", ROWS, own, {}, rule="integer", by_rule={"last_number": further}, undecided=3)
    scoring.write_result(result, tmp_path, {})
    found = json.loads((tmp_path / "x-test.json").read_text())
    assert found["rule"] == {"name": "integer", "version": answers.RULES["integer"].version}
    assert found["rules"] == {
        "last_number": {"version": answers.RULES["last_number"].version, "correct": 2, "count": 3, "accuracy": 2 / 3}
    }
    assert found["final"]["correct"] == 1 and found["undecided"] == 3
    report = result.report(0.95)
    assert "### The same answers, marked by other rules (final answer, after block 2)" in report
    assert "| integer (the score) |    0.333 |" in report and "| last_number         |    0.667 |" in report
    assert report.split("| last_number")[1].split("\n")[0].endswith(" +0.333 |")


def test_without_further_rules_the_report_is_as_it_was() -> None:
    own = score(ROWS)
    assert accuracy_report("x", own, {}, 0.95, rule="integer") == accuracy_report("x", own, {}, 0.95)


def config(*rules: str, tests: tuple[str, ...] = ("gsm8k/test",)) -> Config:
    return Config(data=Data(test=list(tests)), evaluation=Evaluation(rules=list(rules)))


@pytest.mark.parametrize(
    ("rules", "tests", "message"),
    [
        (
            ("last_number", "integr"),
            ("gsm8k/test",),
            'evaluation.rules[1] = "integr": must be one of integer, number, last_number, choice, yes_no, latex, '
            "sentence, letters, text; did you mean 'integer'?",
        ),
        (("text", "text"), ("gsm8k/test",), 'evaluation.rules[1] = "text": stands there before; once will do'),
        (
            ("integer",),
            ("gsm8k/test",),
            'evaluation.rules[0] = "integer": adds nothing: the tests of data.test are marked by integer already; '
            "rules that could stand beside are number, last_number, latex, sentence, text",
        ),
        (
            ("choice",),
            ("gsm8k/test", "gsm_hard/test"),
            'evaluation.rules[0] = "choice": reads none of the right answers of data.test, which are marked by integer '
            "and number; rules that could stand beside are integer, number, last_number, latex, sentence, text",
        ),
    ],
)
def test_a_rule_that_cannot_stand_beside_is_refused_at_the_start(
    rules: tuple[str, ...], tests: tuple[str, ...], message: str
) -> None:
    assert message in [text for _, text in problems(config(*rules, tests=tests))]


@pytest.mark.parametrize(
    ("rules", "tests"),
    [(("last_number", "latex"), ("gsm8k/test",)), (("integer",), ("gsm8k/test", "gsm_hard/test")), ((), ("no/where",))],
)
def test_a_rule_that_reads_one_of_the_test_sets_is_fine(rules: tuple[str, ...], tests: tuple[str, ...]) -> None:
    assert not [path for path, _ in problems(config(*rules, tests=tests)) if path.startswith("evaluation")]


def test_a_run_reports_its_rules_and_is_evaluated_with_others(tmp_path: Path) -> None:
    short = ("stages.0.duration=1 steps", "stages.1.duration=1 steps", "evaluation.controls=[]")
    assert fit(tiny(tmp_path, *short, "evaluation.rules=[sentence]")) == 0
    file = tmp_path / "run/results/tracking-test.json"
    first = json.loads(file.read_text())
    assert first["rule"] == {"name": "text", "version": answers.RULES["text"].version} and list(first["rules"]) == [
        "sentence"
    ]
    assert first["rules"]["sentence"]["count"] == first["examples"]
    assert "| text (the score) |" in (tmp_path / "run/report.md").read_text()
    assert evaluate.main(["--run", str(tmp_path / "run"), "evaluation.rules=[latex,sentence]"]) == 0
    assert list(json.loads(file.read_text())["rules"]) == ["latex", "sentence"]
    splits = ("evaluation.selection_rows=4", "evaluation.selection_splits=2")
    assert evaluate.main(["--run", str(tmp_path / "run"), "--protocol", *splits]) == 0
    chosen = json.loads(file.with_name("tracking-test-protocol.json").read_text())
    assert chosen["rule"] == first["rule"] and len(chosen["per_split"]) == 2


def test_what_a_written_chain_holds_before_its_answer_is_kept(tmp_path: Path) -> None:
    chains = "stages=[{name: first, objective: chain}, {name: second, objective: chain}]"
    short = ("stages.0.duration=1 steps", "stages.1.duration=1 steps", "evaluation.controls=[]")
    assert fit(tiny(tmp_path, "method.name=cot", chains, *short)) == 0
    rows = [row for row in read_jsonl(tmp_path / "run/results/tracking-test.jsonl") if row.texts]
    assert rows and all(row.answers == (row.texts[0].partition("####")[2].strip(),) for row in rows)
