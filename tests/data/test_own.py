"""A user's own task: JSON-lines files named in the settings, or a Python file; and both from fit to compare."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

import rim.compare as compare
import rim.fit as fit
from rim import evaluate, show
from rim.backbone.tokenizer import build_tokenizer
from rim.base.errors import SettingsError
from rim.data.answers import RULES
from rim.data.encode import Request, encode
from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.registry import parse_source, task
from rim.runs.folder import RunFolder
from rim.settings import Data, Own
from rim.settings.load import load
from rim.training.start import find_start
from tests.data.reading import read
from tests.runs import TINY

MODULE = '''"""Riddles."""

from rim.data.example import Example
from rim.data.published import Published, Row, Source


def parse(row: Row) -> Example | str:
    values = row.check({"riddle": str, "solution": str})
    return "too easy" if values["solution"] == "egg" else row.example(values["riddle"], (), values["solution"])


SOURCES = {"test": Source(("riddles/test.jsonl",), home="the attic")}
TASK = Published("riddles", SOURCES, ("test",), "text", parse).task()
'''


def put(path: Path, *rows: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def own(path: str, **more: str) -> Data:
    return Data(own=Own(train=path, **more))


def message(config: Data, source: str = "own/train") -> str:
    with pytest.raises(DataError) as caught:
        read(source, config)
    return str(caught.value)


# ---------------------------------------------------------------- files


def test_a_row_has_a_question_an_answer_and_perhaps_steps_and_a_name(tmp_path: Path) -> None:
    file = put(
        tmp_path / "a.jsonl",
        {"question": " q? ", "steps": ["<<1+1=2>>", " "], "answer": "2"},
        {"question": "q?", "answer": 1080, "id": "x7"},
        {"question": "q?", "answer": 0.5, "steps": None},
        {"question": "q?", "answer": 1e23},
    )
    reading = read("own/train", own(file, answer_rule="number"))
    assert reading.examples == [
        Example("own/train/0", "q?", ("<<1+1=2>>",), "2"),
        Example("own/train/x7", "q?", (), "1080"),
        Example("own/train/2", "q?", (), "0.5"),
        Example("own/train/3", "q?", (), "1" + "0" * 23),
    ]
    results = Data(own=Own(train=file), steps="results", root="elsewhere")
    assert read("own/train", results).examples[0].steps == ("2",)
    assert task("own", own(file, answer_rule="number")).answer_rule == "number"


@pytest.mark.parametrize(
    ("row", "part"),
    [
        (
            {"question": "q?"},
            "line 2: no field 'answer' among question; a row has the fields question (str), answer (str",
        ),
        ({"question": "q?", "answer": True}, "line 2: 'answer' is True; an answer is a text or a number"),
        ({"question": "q?", "answer": "a", "steps": "one"}, "line 2: 'steps' is 'one'; steps are a list of texts"),
        ({"question": "q?", "answer": " "}, "line 2: 'answer' is ' '"),
        (
            {"question": "q?", "answer": "a", "cot": ["s"]},
            "line 2: unknown field 'cot' (did you mean 'steps'?); a row has the fields question and answer, and if you "
            "like steps and id. Way out: rename the field, or delete it",
        ),
        ({"question": "q?", "answer": "a", "steps": [1]}, "line 2: 'steps' is [1]; steps are a list of texts"),
        ({"question": "q?", "answer": float("nan")}, "line 2: 'answer' is nan; an answer is a text or a number"),
        ({"question": "q?", "answer": 1e999}, "line 2: 'answer' is inf; an answer is a text or a number"),
        (
            {"question": "q?", "answer": "1+1 is 2.\n2"},
            "line 2: 'answer' is '1+1 is 2.\\n2'; an answer is one line without ####, and what comes before it are",
        ),
        (
            {"question": "q?", "answer": "1 #### 2"},
            "line 2: 'answer' is '1 #### 2'; an answer is one line without ####",
        ),
        ({"question": "q?", "answer": "a", "id": ""}, "line 2: 'id' is ''; an id is a text or a whole number"),
        ({"question": "q?", "answer": "a", "id": ["x"]}, "line 2: 'id' is ['x']; an id is a text or a whole number"),
        ({"question": "q\ud83d", "answer": "a"}, "line 2: half a character in 'q\\ud83d'; a text is Unicode, and"),
        ({"question": "q?", "answer": "a", "id": "\ud83d"}, "line 2: half a character in 'own/train/\\ud83d'"),
        ({"question": "q?", "answer": "a", "id": 0}, "two rows are named 'own/train/0'. Ids differ"),
        ([], "line 2: list instead of an object"),
    ],
)
def test_a_broken_row_is_named(row: object, part: str, tmp_path: Path) -> None:
    file = put(tmp_path / "a.jsonl", {"question": "q?", "answer": "a"}, row)
    text = message(own(file))
    assert file in text and part in text


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"Steps ": ["s"]}, "'Steps ' (did you mean 'steps'?)"),
        ({"step": ["s"]}, "'step' (did you mean 'steps'?)"),
        ({"rationales": ["s"]}, "'rationales' (did you mean 'steps'?)"),
        ({"chain-of-thought": ["s"]}, "'chain-of-thought' (did you mean 'steps'?)"),
        ({"cot": None}, "'cot' (did you mean 'steps'?)"),
        ({"steps": ["s"], "cot": ["t"]}, "unknown field 'cot'; a row"),
        ({"Answer": "a"}, "unknown field 'Answer'; a row"),
        ({"label": "b", "difficulty": 3}, "unknown field 'label', 'difficulty'; a row"),
        ({"qid": 3}, "'qid' (did you mean 'id'?)"),
        ({"answer ": "a"}, "unknown field 'answer '; a row"),
    ],
)
def test_a_field_that_nobody_reads_is_refused_with_the_one_that_is_meant(
    fields: dict[str, object], part: str, tmp_path: Path
) -> None:
    row = {"question": "q?", "answer": "a"} | fields
    assert part in message(own(put(tmp_path / "a.jsonl", row)))
    (tmp_path / "b.json").write_text(json.dumps([row]))
    assert f"row 1: unknown field {part.removeprefix('unknown field ')}" in message(own(str(tmp_path / "b.json")))


def test_a_required_field_under_another_name_is_named(tmp_path: Path) -> None:
    text = message(own(put(tmp_path / "a.jsonl", {"prompt": "q?", "output": "a"})))
    assert "unknown field 'prompt' (did you mean 'question'?), 'output' (did you mean 'answer'?); a row has" in text


def test_files_and_rules_that_are_not_there_are_named_with_a_way_out(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.jsonl")
    text = message(own(gone))
    assert f"own/train: data.own.train={gone} is no file" in text and "data.own.train=FILE. Paths count from" in text
    file = put(tmp_path / "a.jsonl", {"question": "q?", "answer": "a"})
    assert message(own(file, answer_rule="numbr")) == (
        f"data.own.answer_rule asks for the answer rule 'numbr': the rules are {', '.join(RULES)}"
    )
    assert message(own(file), "own/test") == "unknown split 'test' of task 'own': there are own/train"
    assert "name its files: data.own.train=FILE" in message(Data())


def test_an_encoded_file_is_made_anew_when_it_changes(tmp_path: Path) -> None:
    config = own(put(tmp_path / "a.jsonl", {"question": "q?", "answer": "a"}))
    before = task("own", config).fingerprint("train", config)
    put(tmp_path / "a.jsonl", {"question": "q?", "answer": "b"})
    assert task("own", config).fingerprint("train", config) != before


def test_an_encoded_file_carries_the_rule_that_is_asked_for(tmp_path: Path) -> None:
    file = put(tmp_path / "a.jsonl", {"question": "q?", "answer": "2"})
    tokenizer = build_tokenizer(["q? 2"], 300)
    for rule in ("text", "integer"):
        config = replace(own(file, answer_rule=rule), cache=str(tmp_path / "cache"))
        assert encode(Request(parse_source("own/train", config), "train"), config, tokenizer).answer_rule == rule


# ---------------------------------------------------------------- Python files


@pytest.fixture
def riddles(tmp_path: Path) -> Data:
    put(tmp_path / "riddles" / "test.jsonl", {"riddle": "r?", "solution": "s"}, {"riddle": "r?", "solution": "egg"})
    (tmp_path / "mine.py").write_text(MODULE)
    return Data(modules=[str(tmp_path / "mine.py")], root=str(tmp_path))


def test_a_python_file_defines_a_task_that_is_found_by_its_name(riddles: Data) -> None:
    reading = read("riddles/test", riddles)
    assert reading.examples == [Example("riddles/test/0", "r?", (), "s")]
    assert (reading.read, reading.dropped) == (2, {"too easy": 1})
    assert "the tasks are aqua" in message(riddles, "ridles/test") and "did you mean 'riddles'?" in message(
        riddles, "ridles/test"
    )


@pytest.mark.parametrize("solution", ["a\nb", "a #### b"])
def test_an_answer_of_any_task_is_one_line(solution: str, riddles: Data) -> None:
    """Rules read the last line, or what follows the mark, of a right answer as of a given one: `c\nb` would do."""
    file = put(Path(riddles.root or "") / "riddles" / "test.jsonl", {"riddle": "r?", "solution": solution})
    text = message(riddles, "riddles/test")
    assert text.startswith(f"{file}, line 1: 'answer' is {solution!r}; an answer is one line without ####")


def test_what_is_read_is_encoded_anew_when_the_python_file_changes(riddles: Data) -> None:
    before = task("riddles", riddles).fingerprint("test", riddles)
    assert task("riddles", riddles).fingerprint("test", riddles) == before
    Path(riddles.modules[0]).write_text(MODULE.replace("egg", "nut"))
    assert task("riddles", riddles).fingerprint("test", riddles) != before
    assert len(read("riddles/test", riddles).examples) == 2


def test_a_python_file_is_read_anew_though_its_size_and_time_are_the_same(
    riddles: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whatever its name ends in."""
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    for ending in (".py", ".txt"):
        file = Path(riddles.modules[0]).with_suffix(ending)
        given = replace(riddles, modules=[str(file)])
        for easy in ("egg", "nut"):
            file.write_text(MODULE.replace("egg", easy))
            os.utime(file, (1, 1))
            assert read("riddles/test", given).read - len(read("riddles/test", given).examples) == (easy == "egg")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "defines no TASK: it must be a rim.data.example.Task, as under 'Your own task' in docs/data.md"),
        ("TASK = 3", "defines a TASK that is int: it must be a rim.data.example.Task"),
        ("x = 1\nraise KeyError('cup')", "mine.py, line 2: KeyError: 'cup'. Mend the file of the task"),
        ("x = 1\ndef f(:\n", "mine.py, line 2: SyntaxError: invalid syntax"),
        (MODULE.replace('"riddles",', '"gsm8k",'), "names its task 'gsm8k': take another word, not one of aqua, "),
        (MODULE.replace('"text"', '"txt"'), "asks for the answer rule 'txt': the rules are integer, number, "),
    ],
)
def test_a_python_file_that_is_no_task_is_refused_at_start(text: str, part: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load([], [f"data.modules=[{file}]"])
    assert part in str(caught.value) and str(file) in str(caught.value)
    assert str(caught.value).count("data.modules = ") == 1, "one cause, one line"


def test_a_python_file_that_is_gone_is_named_at_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load([], [f"data.modules=[{tmp_path}/gone.py]", "data.test=[riddles/test]"])
    assert f"data.modules names {tmp_path}/gone.py, which is no file" in str(caught.value)
    assert "where a run that is resumed looks for it, or give its new place: data.modules=[FILE]" in str(caught.value)


# ---------------------------------------------------------------- forms of steps and revisions, at start


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (
            ["data.train=strategyqa/train", "data.validation=strategyqa/validation"],
            'data.steps = "equations": strategyqa has steps of no such form; it has decompositions, facts',
        ),
        (["data.train=prosqa/train"], 'data.steps = "equations": prosqa has steps of no such form; it has sentences'),
        (["data.steps=facts"], 'data.steps = "facts": tracking has steps of no such form; it has equations, sentences'),
        (["data.revisions=[gsm8k]"], 'data.revisions[0] = "gsm8k": is written owner/name@revision'),
        (
            ["data.revisions=[openai/gsm8K@main]"],
            'data.revisions[0] = "openai/gsm8K@main": no task reads this table; there are ChilleD/LastLetterConcat, ',
        ),
        (["data.revisions=[openai/gsm8K@main]"], "whynlp/gsm8k-aug-nl; did you mean 'openai/gsm8k'?"),
        (
            ["data.revisions=[openai/gsm8k@main,openai/gsm8k@v2]"],
            "data.revisions[1] = \"openai/gsm8k@v2\": names 'openai/gsm8k' again; once will do",
        ),
    ],
)
def test_a_form_that_a_task_has_not_got_is_refused(given: list[str], part: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load([], given)
    assert part in str(caught.value)


def test_a_test_set_is_read_in_a_form_that_it_has(data_root: Path) -> None:
    config = load([], ["data.test=[strategyqa/validation,last_letters/test]", f"data.root={data_root}"]).data
    assert read("strategyqa/validation", config).examples[0].steps[0].endswith("?"), "its first form"


# ---------------------------------------------------------------- from fit to compare

DIRECT = (
    *(word for word in TINY if not word.startswith(("stages", "training.validate", "training.save", "evaluation.con"))),
    *("method.name=direct", "stages.0.duration=4 steps", "training.validate_every=4 steps", "evaluation.controls=[]"),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Two tiny runs on own files with a test set of a Python file, in the working directory of the user."""
    folder = tmp_path_factory.mktemp("user")
    words = ["cup", "hat", "key", "pen", "map"]
    rows = [{"question": f"{a} {b}?", "steps": [f"{a}."], "answer": b} for a in words for b in words]
    for name, part in (("train", rows), ("valid", rows[:4]), ("test", rows[4:8])):
        put(folder / "my" / f"{name}.jsonl", *part)
    put(folder / "riddles" / "test.jsonl", {"riddle": "cup?", "solution": "hat"}, {"riddle": "hat?", "solution": "egg"})
    (folder / "mine.py").write_text(MODULE)
    settings = f"""
data:
  train: own/train
  validation: own/validation
  test: [own/test, riddles/test]
  own: {{train: my/train.jsonl, validation: my/valid.jsonl, test: my/test.jsonl, answer_rule: text}}
  modules: [mine.py]
  root: .
run: {{folder: {folder}/runs}}
"""
    (folder / "own.yaml").write_text(settings)
    given = [word for word in DIRECT if not word.startswith("data.tracking")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for seed in (0, 1):
            assert fit.main(["--config", "own.yaml", *given, f"run.seed={seed}", f"run.name=own{seed}"]) == 0
    return folder, given


def test_a_run_on_own_files_says_what_it_read(runs: tuple[Path, list[str]]) -> None:
    train, validation, test, riddles = json.loads((runs[0] / "runs" / "own0" / "data.json").read_text())
    assert (train["source"], train["read"], train["kept"]) == ("own/train", 25, 17)
    assert train["dropped"] == {"question also in validation or test": 8}
    assert train["origin"].startswith("my/train.jsonl, sha256 ") and validation["kept"] == 4 and test["kept"] == 4
    assert (riddles["source"], riddles["dropped"]) == ("riddles/test", {"too easy": 1})


def test_a_run_on_own_files_is_evaluated_shown_and_compared(
    runs: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, given = runs
    monkeypatch.chdir(folder)
    assert evaluate.main(["--run", "runs/own0", "--test", "own/test", "riddles/test"]) == 0
    out = capsys.readouterr().out
    assert "## own/test: 4 distinct examples" in out and "## riddles/test: 1 distinct examples" in out
    assert show.main(["--config", "own.yaml", *given]) == 0
    assert "example own/train/" in capsys.readouterr().out
    assert compare.main(["runs/own0", "runs/own1"]) == 0
    assert "own/test" in capsys.readouterr().out


def test_a_run_whose_files_are_gone_says_so(
    runs: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = runs
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODULE)
    run = str(folder / "runs" / "own0")
    with pytest.raises(SystemExit):
        evaluate.main(["--run", run, "--test", "own/test"])
    assert "own/test: data.own.test=my/test.jsonl is no file" in capsys.readouterr().err
    (tmp_path / "mine.py").unlink()
    with pytest.raises(SystemExit):
        evaluate.main(["--run", run, "--test", "own/test"])
    assert "data.modules names mine.py, which is no file" in capsys.readouterr().err
    (tmp_path / "mine.py").write_text(MODULE)
    assert evaluate.main(["--run", run, "--test", "own/test", f"data.own.test={folder}/my/test.jsonl"]) == 0


@pytest.fixture
def moved(runs: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs, seen from a folder that lacks their files; the Python file has gone elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "place.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return runs[0] / "runs"


@pytest.mark.parametrize("form", [[], ["--protocol", "evaluation.selection_rows=2", "evaluation.selection_splits=2"]])
def test_a_run_whose_python_file_has_moved_is_evaluated_with_its_new_place(moved: Path, form: list[str]) -> None:
    given = ["data.modules=[elsewhere/place.py]", f"data.own.test={moved.parent}/my/test.jsonl"]
    assert evaluate.main(["--run", str(moved / "own0"), "--test", "own/test", *given, *form]) == 0


def test_answers_that_were_given_are_compared_wherever_the_python_file_is(
    moved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("own0", "own1"):
        (moved / name / "latency.json").unlink(missing_ok=True)
    assert compare.main([str(moved / "own0"), str(moved / "own1"), "--out", "compared"]) == 0
    printed = capsys.readouterr().out
    assert "own/test" in printed and "No latency of own0" in printed
    assert "data.modules names mine.py, which is no file" in printed


def test_a_run_starts_from_another_wherever_its_python_file_is(moved: Path) -> None:
    settings = load([], ["backbone.source=scratch", "backbone.training=full", f"backbone.start_from={moved}/own0"])
    assert find_start(RunFolder(Path("next")), settings.backbone) is not None
