"""Own rows in every form of a file and in a table of the hub, under names of their own, with steps in a text."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from rim import show
from rim.data import hub
from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.registry import parse_source, task
from rim.settings import Columns, Data, Own
from tests.data.reading import read
from tests.runs import TINY

ROWS: list[dict[str, Any]] = [
    {"prompt": "How many are 1 and 2, and 4 more?", "rationale": "1 and 2 are <<1+2=3>>3. Then <<3+4=7>>7.\nSo 7.",
     "label": 7, "qid": "a"},
    {"prompt": "Who?", "rationale": "", "label": "Ann", "qid": "b"},
]  # fmt: skip
COLUMNS = Columns("prompt", "rationale", "label", "qid")


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def array(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(rows, indent=1))


def comma_separated(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    texts = [{name: value if isinstance(value, list) else str(value) for name, value in row.items()} for row in rows]
    datasets.Dataset.from_list(texts).to_parquet(str(path))


FORMS: dict[str, Callable[[Path, list[dict[str, Any]]], None]] = {
    "JSON lines": lines, "JSON": array, "CSV": comma_separated, "Parquet": parquet,
}  # fmt: skip
every_form = pytest.mark.parametrize("form", FORMS)


def config(path: Path, **own: Any) -> Data:
    return Data(own=Own(train=str(path), **own))


def message(given: Data, source: str = "own/train") -> str:
    with pytest.raises(DataError) as caught:
        read(source, given)
    return str(caught.value)


@every_form
@pytest.mark.parametrize(
    ("rule", "steps"),
    [
        ("line", ("1 and 2 are <<1+2=3>>3. Then <<3+4=7>>7.", "So 7.")),
        ("sentence", ("1 and 2 are <<1+2=3>>3.", "Then <<3+4=7>>7.", "So 7.")),
        ("annotation", ("<<1+2=3>>", "<<3+4=7>>")),
    ],
)
def test_every_form_gives_the_same_rows(form: str, rule: str, steps: tuple[str, ...], tmp_path: Path) -> None:
    """Whatever the file is called: its content tells."""
    FORMS[form](tmp_path / "rows", ROWS)
    reading = read("own/train", config(tmp_path / "rows", columns=COLUMNS, split_steps=rule))
    assert reading.examples == [
        Example("own/train/a", ROWS[0]["prompt"], steps, "7"), Example("own/train/b", "Who?", (), "Ann"),
    ]  # fmt: skip
    assert reading.origin.startswith(f"{tmp_path / 'rows'}, sha256 ")


def test_steps_that_are_a_list_stay_as_they_are(tmp_path: Path) -> None:
    rows = [{"question": "q?", "steps": ["a. b.", "c"], "answer": "2"}]
    for form in ("JSON lines", "Parquet"):
        FORMS[form](tmp_path / "rows", rows)
        given = config(tmp_path / "rows", split_steps="sentence")
        assert read("own/train", given).examples == [Example("own/train/0", "q?", ("a. b.", "c"), "2")]


@every_form
def test_a_text_may_be_long(form: str, tmp_path: Path) -> None:
    """Longer than the 131,072 characters that the csv module reads of a field by itself."""
    question = "word " * 40_000 + "?"
    FORMS[form](tmp_path / "rows", [{"question": question, "answer": "2"}])
    assert read("own/train", config(tmp_path / "rows")).examples == [Example("own/train/0", question, (), "2")]


@every_form
def test_messages_name_the_row_the_column_and_the_setting(form: str, tmp_path: Path) -> None:
    path, place = tmp_path / "rows", "line 1" if form == "JSON lines" else "row 1"
    FORMS[form](path, ROWS)
    text = message(config(path))
    assert f"{path}, {place}: unknown field 'prompt' (did you mean 'question'?), 'rationale' (did you mean" in text
    ways = "data.own.columns.question=prompt data.own.columns.steps=rationale data.own.columns.answer=label "
    assert f"or name its column: {ways}data.own.columns.id=qid; data.own.other_columns=ignore passes" in text
    text = message(config(path, columns=COLUMNS))
    assert f"{place}: 'rationale' is '1 and 2 are" in text and "data.own.split_steps=line, sentence or annotat" in text
    text = message(config(path, columns=Columns("prompt", "cot", "label"), other_columns="ignore"))
    assert f"{place}: no field 'cot' among prompt, rationale, label, qid; data.own.columns.steps names it" in text
    for others in ("ignore", "refuse"):
        text = message(config(path, columns=Columns("prompt", answer="gold"), other_columns=others))
        assert f"{place}: no field 'gold' among prompt, rationale, label, qid; data.own.columns.answer names it" in text
    few = read("own/train", config(path, columns=Columns("prompt", answer="label"), other_columns="ignore"))
    assert [example.steps for example in few.examples] == [(), ()] and few.examples[0].id == "own/train/0"


@pytest.mark.parametrize("mark", [";", "\t"])
def test_columns_that_no_comma_separates_are_refused(mark: str, tmp_path: Path) -> None:
    (tmp_path / "rows").write_text(mark.join(["question", "answer"]) + "\n" + mark.join(["One, or two?", "2"]) + "\n")
    text = message(config(tmp_path / "rows"))
    assert f"{tmp_path / 'rows'}, line 1: one column, {mark.join(['question', 'answer'])!r}; columns of a CSV" in text
    assert text.endswith("Way out: save the file with commas")


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"PAR1 and then nothing")
    assert f"{tmp_path / 'rows'} is no Parquet file that can be read: " in message(config(tmp_path / "rows"))


def test_rows_are_encoded_anew_when_they_are_read_otherwise(tmp_path: Path) -> None:
    lines(tmp_path / "rows", ROWS)
    seen = [
        task("own", config(tmp_path / "rows", **more)).fingerprint("train", config(tmp_path / "rows", **more))
        for more in ({}, {"split_steps": "line"}, {"columns": COLUMNS}, {"other_columns": "ignore"})  # type: ignore
    ]
    assert len({*seen}) == 4
    assert seen[0] == task("own", config(tmp_path / "rows", answer_rule="number")).fingerprint(
        "train", config(tmp_path / "rows")
    )


# ---------------------------------------------------------------- a table of the hub

TABLE = {
    "table": "owner/name",
    "table_config": "main",
    "revision": "v2",
    "columns": COLUMNS,
    "split_steps": "annotation",
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[hub.Table]:
    """What the hub is asked for; it has ROWS."""
    found: list[hub.Table] = []

    def load(table: hub.Table, online: bool) -> hub.Loaded:
        found.append(table)
        return hub.Loaded(ROWS, "c" * 40)

    monkeypatch.setattr(hub, "_load", load)
    return found


def test_a_table_is_read_by_its_splits(asked: list[hub.Table], tmp_path: Path) -> None:
    given = Data(own=Own("train[:90%]", "train[90%:]", "test", **TABLE), root=str(tmp_path))  # type: ignore[arg-type]
    reading = read("own/train", given)
    assert [example.steps for example in reading.examples] == [("<<1+2=3>>", "<<3+4=7>>"), ()]
    assert asked[0] == hub.Table("owner/name", "main", "train[:90%]", "v2")
    assert reading.origin == f"owner/name main train[:90%] at {'c' * 40}"
    assert task("own", given).tables == ("owner/name",) and parse_source("own/test", given).closed
    given.revisions = ["owner/name@v3"]
    read("own/validation", given)
    assert asked[-1] == hub.Table("owner/name", "main", "train[90%:]", "v3")


def test_a_table_that_is_not_there_says_what_else_there_is() -> None:
    text = message(Data(own=Own("train", table="owner/name")))
    assert "the rows of 'owner/name', split 'train', are on the Hugging Face hub, which cannot be reached" in text
    assert "Write its rows into files and name these in the place of data.own.table, or run once with a network" in text
    assert "data.own.table=name is no table of the hub: it is written owner/name" in message(
        Data(own=Own(table="name"))
    )
    assert "data.own.table=a/b names no split: data.own.train=SPLIT" in message(Data(own=Own(table="a/b")))


# ---------------------------------------------------------------- rim.show --data


def test_show_prints_rows_lengths_and_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cup", "hat", "key", "pen", "map"]
    rows = [{"prompt": f"{a} {b}?", "cot": f"{a}\n{b}", "answer": b} for a in words for b in words]
    rows += [{"prompt": "long?", "cot": "a\nb\nc\nd", "answer": "cup"}]
    comma_separated(tmp_path / "train", rows)
    comma_separated(tmp_path / "valid", rows[:4])
    own = [f"data.own.train={tmp_path}/train", f"data.own.validation={tmp_path}/valid", "data.own.split_steps=line"]
    own += ["data.own.columns.question=prompt", "data.own.columns.steps=cot"]
    places = ["data.train=own/train", "data.validation=own/validation", "data.test=[own/validation]"]
    tiny = [word for word in TINY if not word.startswith(("data.", "stages"))]
    assert show.main(["--data", *tiny, *own, *places, "data.max_steps=3", f"data.cache={tmp_path}/cache"]) == 0
    printed = capsys.readouterr().out
    assert (
        "train: own/train: 21 of 26 rows\n  5 left out:\n    4  question also in validation or test\n"
        "    1  more than data.max_steps=3 steps\n" in printed
    )
    assert "validation: own/validation: 4 of 4 rows" in printed and "test: own/validation: 4 of 4" in printed
    assert (
        "| steps " in printed and "own/train/4\n  question  cup map?\\n\n  step 1    cup\n  step 2    map\n" in printed
    )
    assert printed.count("\n  answer    ") == 10
