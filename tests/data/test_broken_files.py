"""Broken files: each error names the file, the line, the rule and the way out."""

import json
from pathlib import Path

import pytest

from rim.data.errors import DataError
from rim.settings import Data
from tests.data.reading import read

GOOD = b'{"question": "q?", "answer": "a\\n#### 1"}\n'


def message(folder: Path, source: str, file: str, content: bytes) -> str:
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(source, Data(root=str(folder)))
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["is empty", "a row on every line", "Copy or write the file again"]),
        (b"\n\n", ["is empty"]),
        (GOOD + b"\n" + GOOD, ["line 2", "the line is empty", "delete the empty line"]),
        (GOOD + b'{"question": "q?"\n', ["line 2", "not valid JSON", "column", "one JSON object", "mend or delete"]),
        (GOOD + b"[1, 2]\n", ["line 2", "list instead of an object", "fields question (str), answer (str)"]),
        (GOOD + b'{"question": "q?"}\n', ["line 2", "no field 'answer' among question", "mend or delete the row"]),
        (b'{"question": "q?", "answer": null}\n', ["line 1", "'answer' is None"]),
        (b'{"question": "q?", "answer": ""}\n', ["line 1", "'answer' is ''"]),
        (b'{"question": " ", "answer": "#### 1"}\n', ["line 1", "'question' is ' '"]),
        (b'{"question": "q?", "answer": "just text"}\n', ["line 1", "no '####' in 'just text'", "exactly once"]),
        (b'{"question": "q?", "answer": "#### 1\\n#### 2"}\n', ["line 1", "2 '####' in", "exactly once"]),
        (b'{"question": "q?", "answer": "a\\n####  "}\n', ["line 1", "'answer' is ''"]),
        (GOOD + b'{"question": "\xff", "answer": "#### 1"}\n', ["line 2", "is not UTF-8", "save the file as UTF-8"]),
    ],
)
def test_json_lines(tmp_path: Path, content: bytes, parts: list[str]) -> None:
    text = message(tmp_path, "gsm8k/test", "gsm8k/test.jsonl", content)
    assert all(part in text for part in parts), text


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"q?||<<1+1=2>> #### 2\nq? <<1+1=2>> #### 2\n", ["line 2", "no '||' in", "exactly once"]),
        (b"q?||a||<<1+1=2>> #### 2\n", ["line 1", "2 '||' in"]),
        (b"q?||<<1+1=2>>\n", ["line 1", "no '####' in"]),
        (b"q?||<<1+1=2>> #### 2 #### 3\n", ["line 1", "2 '####' in"]),
        (b"q?||<<1+1=2>> ####\n", ["line 1", "'answer' is ''"]),
        (b"||<<1+1=2>> #### 2\n", ["line 1", "'question' is ''"]),
    ],
)
def test_line_format(tmp_path: Path, content: bytes, parts: list[str]) -> None:
    text = message(tmp_path, "gsm8k_aug/test", "gsm8k_aug/test.txt", content)
    assert all(part in text for part in parts), text


@pytest.mark.parametrize("step", ["<<5*5>>", "<<5*5=>>", "<<5*5= >>"])
@pytest.mark.parametrize(
    ("source", "file", "row"),
    [
        ("gsm8k/train", "gsm8k/train.jsonl", '{"question": "q?", "answer": "a STEP\\n#### 1"}\n'),
        ("gsm8k_aug/train", "gsm8k_aug/train.txt", "q?||STEP #### 1\n"),
    ],
)
def test_a_step_without_a_result(tmp_path: Path, source: str, file: str, row: str, step: str) -> None:
    path = tmp_path / file
    path.parent.mkdir()
    path.write_text(row.replace("STEP", "<<1+1=2>>") + row.replace("STEP", step))
    with pytest.raises(DataError) as caught:
        read(source, Data(root=str(tmp_path), steps="results"))
    assert f"{path}, line 2: the step {step!r} is no equation; data.steps=results takes what" in str(caught.value)
    assert read(source, Data(root=str(tmp_path))).examples[1].steps == (step,)


@pytest.mark.parametrize(
    ("source", "file", "row", "field"),
    [
        (
            "aqua/test",
            "aqua/test.json",
            {"question": "q", "options": [1, 2], "rationale": "r", "correct": "A"},
            "options",
        ),
        (
            *("logiqa2/test", "logiqa2/test.txt"),
            {"text": "t", "question": "q", "options": ["x", None], "answer": 0},
            "options",
        ),
        ("prosqa/test", "prosqa/prosqa_test.json", {"question": "q", "steps": ["s", 2], "answer": "a"}, "steps"),
        (
            *("strategyqa/train", "strategyqa/train.json"),
            {"question": "q", "answer": True, "decomposition": [["s"]]},
            "decomposition",
        ),
    ],
)
def test_a_list_that_holds_something_else_than_texts(
    tmp_path: Path, source: str, file: str, row: dict[str, object], field: str
) -> None:
    text = message(tmp_path, source, file, json.dumps([row]).encode())
    assert f"row 1: '{field}' is {row[field]!r}; '{field}' is a list of texts" in text


TWICE = b'{"question": "q?", "answer": "#### 1", "answer": "#### 2"}\n'


def test_a_name_that_stands_twice_in_an_object(tmp_path: Path) -> None:
    """JSON keeps the last value and says nothing."""
    rule = "an object has a name once, and only the last value would be read. Way out: delete all but one"
    found = "'answer' stands there 2 times in {'question': 'q?', 'answer': '#### 2'}"
    assert f"line 2: {found}; {rule}" in message(tmp_path, "gsm8k/test", "gsm8k/test.jsonl", GOOD + TWICE)
    array = b"[" + GOOD + b"," + TWICE + b"]"
    assert f"a row: {found}; {rule}" in message(tmp_path, "prosqa/test", "prosqa/prosqa_test.json", array)
    inside = b'{"question": "q?", "answer": "#### 1", "more": {"a": 1, "b": 2, "b": 2}}\n'
    text = message(tmp_path, "gsm8k/test", "gsm8k/test.jsonl", inside)
    assert "line 1: 'b' stands there 2 times in {'a': 1, 'b': 2}" in text
    folder = tmp_path / "math" / "train" / "algebra"
    folder.mkdir(parents=True)
    (folder / "1.json").write_text('{"problem": "p", "solution": "s", "solution": "t"}')
    with pytest.raises(DataError, match=r"math/train, problem algebra/1\.json: 'solution' stands there 2 times"):
        read("math/train", Data(root=str(tmp_path)))


def test_a_column_that_stands_twice_in_a_table(tmp_path: Path) -> None:
    text = message(tmp_path, "gpqa/main", "gpqa/gpqa_main.csv", b"Question,Correct Answer,Question\nq,a,r\n")
    assert "line 1: 'Question' stands there 2 times; a column has a name of its own, and only the last" in text


@pytest.mark.parametrize(("value", "part"), [("[" * 100_000, "too deep"), ("9" * 5000, "a number too long")])
def test_json_that_python_does_not_read(tmp_path: Path, value: str, part: str) -> None:
    row = f'{{"question": {value}\n'.encode()
    text = message(tmp_path, "gsm8k/test", "gsm8k/test.jsonl", GOOD + row)
    assert f"line 2: not valid JSON ({part}); every line is one JSON object" in text
    text = message(tmp_path, "prosqa/test", "prosqa/prosqa_test.json", b"[" + row)
    assert f"line 1: not valid JSON ({part}); the file is one JSON array of rows" in text


@pytest.mark.parametrize(
    ("source", "file", "content", "part"),
    [
        (
            *("aqua/test", "aqua/test.json"),
            json.dumps({"question": "q", "options": list("123456789"), "rationale": "r", "correct": "A"}),
            "line 1: 9 options; a question has 2 to 8",
        ),
        (
            *("multiarith/test", "multiarith/MultiArith.json"),
            json.dumps([{"sQuestion": "q", "lEquations": ["X=1"], "lSolutions": ["one"]}]),
            "row 1: 'lSolutions' is ['one']; a solution is a number",
        ),
        (
            "gpqa/main",
            "gpqa/gpqa_main.csv",
            "Question,Correct Answer\nq,a\nq,a,b\n",
            "row 1: no field 'Incorrect Answer 1'",
        ),
        (
            "gpqa/main",
            "gpqa/gpqa_main.csv",
            "Question,Correct Answer\nq,a,b\n",
            "row 1: 1 fields too many; the first line names 2",
        ),
        (
            "gpqa/main",
            "gpqa/gpqa_main.csv",
            "Question,Explanation\nq\n",
            "row 1: 1 fields too few; the first line names 2",
        ),
        (
            *("svamp/test", "svamp/SVAMP.json"),
            json.dumps([{"ID": "c1", "Body": "b", "Question": "q", "Equation": "1", "Answer": 1.0}] * 2),
            "two rows are named 'svamp/test/c1'. Ids differ: mend one",
        ),
    ],
)
def test_rows_that_would_be_read_wrong(tmp_path: Path, source: str, file: str, content: str, part: str) -> None:
    assert part in message(tmp_path, source, file, content.encode())


def test_a_target_that_is_no_float(tmp_path: Path) -> None:
    content = b'{"input": "q?", "target": "12"}\n'
    text = message(tmp_path, "gsm_hard/test", "gsm_hard/gsmhardv2.jsonl", content)
    assert "line 1" in text and "'target' is '12'" in text and "target (float)" in text


def test_a_missing_file_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read("gsm8k/train", Data(root=str(tmp_path)))
    assert str(tmp_path / "gsm8k/train.jsonl") in str(caught.value)
    assert "data.root" in str(caught.value)


def test_marks_windows_line_ends_and_unicode_separators_are_read(tmp_path: Path) -> None:
    (tmp_path / "gsm8k").mkdir()
    text = (
        '{"question": "a\u2028b\u0085c?", "answer": "d\u2028e\\n#### 1"}\r\n{"question": "q?", "answer": "#### 2"}\r\n'
    )
    (tmp_path / "gsm8k" / "test.jsonl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    reading = read("gsm8k/test", Data(root=str(tmp_path), steps="sentences"))
    assert [example.answer for example in reading.examples] == ["1", "2"]
    assert reading.examples[0].question == "a\u2028b\u0085c?"
