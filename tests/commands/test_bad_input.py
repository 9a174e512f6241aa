"""Bad input on the command line: every verb ends with status 2 and one plain `error: ...`, whatever is wrong."""

import json
import time
from pathlib import Path

import pytest

import rim.fit as fit
from rim import evaluate, show
from rim.backbone.tokenizer import build_tokenizer
from tests.models import TEXTS
from tests.runs import overrides, tiny
from tests.swift import fit as train

GSM8K = ("data.train=gsm8k/train", "data.test=[gsm8k/test]")
PRETRAINED = "backbone.source=pretrained"


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]):
    """Runs a verb that must refuse; the text of its only error."""

    def run(verb, *argv: object) -> str:
        with pytest.raises(SystemExit) as stop:
            verb.main([str(word) for word in argv])
        text = capsys.readouterr().err
        assert stop.value.code == 2 and text.count("error: ") == 1 and "Traceback" not in text, text
        return text[text.index("error: ") :]

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished tiny run."""
    folder = tmp_path_factory.mktemp("bad_input")
    assert train(tiny(folder)) == 0
    return folder / "run"


def test_training_nothing_is_refused(refused) -> None:
    text = refused(fit)
    assert text == "error: nothing to train: name a file of settings, --config conf/demo.yaml, or settings, key=value\n"


def rows(count: int = 12) -> str:
    row = {"question": "Ann has {} cups and gets 1 more. How many?", "answer": "<<1+1=2>>2\n#### 2"}
    return "".join(json.dumps({**row, "question": row["question"].format(i)}) + "\n" for i in range(count))


def gsm8k(folder: Path, train: str | None = None, test: str | None = None) -> str:
    """`data.root` of a folder in the form of GSM8K; what is given stands in the place of good rows."""
    (folder / "gsm8k").mkdir(parents=True)
    (folder / "gsm8k" / "train.jsonl").write_text(rows() if train is None else train)
    (folder / "gsm8k" / "test.jsonl").write_text(rows().replace("cups", "pens") if test is None else test)
    return f"data.root={folder}"


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize("verb", [fit, show])
@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("training.batchsize=4", ["training.batchsize", "no such setting; did you mean 'training.batch_size'?"]),
        ("training.batch_size=many", ['training.batch_size = "many": allowed is a whole number']),
        ("method.name=rim", ['method.name = "rim": allowed is one of memory_blocks, looped, direct, repeat, cot,']),
        (
            "data.train=gsm9k/train",
            ["unknown task 'gsm9k' (did you mean 'gsm8k'?)", "the tasks are aqua, arithmetic, "],
        ),
        ("data.train=gsm8k/dev", ["unknown split 'dev' of task 'gsm8k': there are gsm8k/train, gsm8k/test"]),
        ("data.train=gsm8k", ["names no split: write task/split, such as gsm8k/train"]),
        (
            "data.validation=gsm8k/test",
            ["is a test split, which neither trains nor chooses a checkpoint", "gsm8k/train"],
        ),
        ("data.test=[tracking/tset]", ["data.test[0]", "unknown split 'tset'", "did you mean 'test'?"]),
        ("backbone.attention=flash_attention_2", ["must be sdpa or eager", "do not honour a four-dimensional mask"]),
        ("memory.blocks=0", ["must be at least 1; a model without blocks is method.name=direct"]),
        ("--bathc", ["'--bathc' is no option"]),
    ],
)
def test_settings(verb, given: str, parts: list[str], refused) -> None:
    text = refused(verb, given)
    assert all(part in text for part in parts), text


def test_a_missing_file_of_settings(in_folder: Path, refused) -> None:
    (in_folder / "demo.yaml").write_text("{}")
    assert "dmo.yaml: no such file; did you mean 'demo.yaml'?" in refused(fit, "--config", "dmo.yaml")
    assert "there is no folder 'conf' either" in refused(show, "--config", "conf/demo.yaml")


def test_a_file_with_a_wrong_key(in_folder: Path, refused) -> None:
    (in_folder / "a.yaml").write_text("training: {batchsize: 4}\n")
    text = refused(fit, "--config", "a.yaml")
    assert "a.yaml" in text and "did you mean 'training.batch_size'?" in text


# ---------------------------------------------------------------- data


@pytest.mark.parametrize(
    ("train", "parts"),
    [
        ("", ["train.jsonl is empty: a data file has a row on every line"]),
        ('{"question": "q?"}\n', ["train.jsonl, line 1: no field 'answer'", "mend or delete the row"]),
        (rows(2) + '{"question": "q?", "answer": "#### 1 #### 2"}\n', ["line 3: 2 '####' in", "exactly once in a row"]),
        (rows(2) + '{"question": "q?", "answer": "2"}\n', ["train.jsonl, line 3: no '####' in '2'"]),
    ],
)
@pytest.mark.parametrize("verb", [fit, show])
def test_broken_training_data(verb, train: str, parts: list[str], tmp_path: Path, refused) -> None:
    text = refused(verb, *overrides(tmp_path, *GSM8K, gsm8k(tmp_path / "data", train)))
    assert all(part in text for part in [*parts, str(tmp_path / "data")]), text
    assert not (tmp_path / "run").exists(), "nothing is left behind"


def test_a_missing_data_file(tmp_path: Path, refused) -> None:
    text = refused(fit, *overrides(tmp_path, *GSM8K, f"data.root={tmp_path}/nowhere"))
    assert f"no file {tmp_path}/nowhere/gsm8k/test.jsonl. Put it there, set data.root" in text


@pytest.fixture(params=["offline", "unreachable"])
def no_hub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hub is switched off, or nothing answers at its address; no data set is in the local cache."""
    import datasets
    from huggingface_hub import constants

    from rim.data import hub

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    hub._load.cache_clear()
    if request.param == "unreachable":
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("verb", [fit, show])
def test_hub_data_without_a_network_is_refused_in_time(verb, tmp_path: Path, refused) -> None:
    start = time.monotonic()
    text = refused(verb, *overrides(tmp_path, *GSM8K))
    assert time.monotonic() - start < 15
    assert "'openai/gsm8k'" in text and "the Hugging Face hub, which cannot be reached" in text
    assert "Set data.root=FOLDER to a folder that holds gsm8k/t" in text and "or run once with a network" in text


# ---------------------------------------------------------------- backbone


@pytest.mark.usefixtures("no_hub")
def test_a_hub_model_without_a_network_is_refused_in_time(tmp_path: Path, refused) -> None:
    start = time.monotonic()
    text = refused(fit, *overrides(tmp_path, PRETRAINED, "backbone.name=no-such-owner/no-such-model"))
    assert time.monotonic() - start < 15
    assert "backbone.name 'no-such-owner/no-such-model' is neither a local folder nor in the local cache" in text
    assert "Set backbone.name to a local folder with the model and its tokenizer, or run once with a network" in text
    assert "A small model from scratch needs neither: --config conf/backbone/scratch.yaml" in text


def test_a_tokenizer_without_end_token(tmp_path: Path, refused) -> None:
    tokenizer = build_tokenizer(TEXTS, 280)
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path / "model")
    text = refused(fit, *overrides(tmp_path, PRETRAINED, f"backbone.name={tmp_path}/model"))
    assert f"the tokenizer '{tmp_path}/model' has no end token, so an answer could not end: set `eos_token`" in text


def test_a_training_question_longer_than_the_model(tmp_path: Path, refused) -> None:
    long = json.dumps({"question": "Ann has many cups. " * 40, "answer": "<<1+1=2>>2\n#### 2"}) + "\n"
    root = gsm8k(tmp_path / "data", rows(80) + long)
    text = refused(fit, *overrides(tmp_path, *GSM8K, root))
    assert "training example 'gsm8k/train/80' takes" in text and "the model has 128" in text
    assert "lower data.max_question_tokens (now 512; longer questions are dropped and counted)" in text
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------- evaluating a run


def test_a_run_that_does_not_exist(tmp_path: Path, refused) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "config.yaml").write_text("{}")
    text = refused(evaluate, "--run", tmp_path / "dmo")
    assert f"{tmp_path}/dmo is not a run folder: it has no config.yaml. Runs beside it: {tmp_path}/demo" in text
    assert f"it has no config.yaml. Runs in it: {tmp_path}/demo" in refused(evaluate, "--run", tmp_path)


def test_a_run_without_scored_weights(tmp_path: Path, finished: Path, refused) -> None:
    (tmp_path / "config.yaml").write_bytes((finished / "config.yaml").read_bytes())
    assert "has no scored weights yet: let the run reach its first validation" in refused(evaluate, "--run", tmp_path)


def test_weights_that_do_not_exist(finished: Path, refused) -> None:
    text = refused(evaluate, "--run", finished, "--checkpoint", "best")
    names = "grounding-3, grounding-6, grounding-9, grounding-best, grounding-last, refinement-15, refinement-18"
    assert f"there are no weights 'best' in {finished}/weights; there are: {names}" in text


def test_no_run_at_all(refused) -> None:
    assert "one of the arguments --run --export is required; see python -m rim.evaluate --help" in refused(evaluate)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (
            ["run.seed=3"],
            "'run.seed=3' would change the run, not its evaluation; overrides here begin with evaluation.",
        ),
        (["--test", "tracking/test", "run.seed=3"], "'run.seed=3' would change the run"),
        (["evaluation.batchsize=3"], "did you mean 'evaluation.batch_size'?"),
        (["evaluation.controls=[remove]"], "values_only, keys_only, zero; did you mean 'removed'?"),
        (["--test", "gsm8k/dev"], "unknown split 'dev' of task 'gsm8k': there are gsm8k/train, gsm8k/test"),
        (["--test", "trackign/test"], "unknown task 'trackign' (did you mean 'tracking'?)"),
        (["--protocol"], "evaluation.selection_rows is 264 and the test set has 8 examples"),
        (["--protocol", "--checkpoint", "x"], "--protocol takes no --checkpoint: it chooses among all checkpoints"),
        (["memory.blocks=40"], "positions with its blocks, and up to 4 tokens may follow, but the model has 128"),
    ],
)
def test_evaluating(given: list[str], part: str, finished: Path, refused) -> None:
    assert part in refused(evaluate, "--run", finished, *given)


@pytest.mark.parametrize(
    ("test", "part"),
    [
        ("", "test.jsonl is empty"),
        ('{"question": "q?"}\n', "test.jsonl, line 1: no field 'answer'"),
        ('{"question": "q?", "answer": "#### 1 #### 2"}\n', "test.jsonl, line 1: 2 '####'"),
        (
            json.dumps({"question": "How? " * 90, "answer": "#### 2"}) + "\n",
            "tokens may follow, but the model has 128: use a backbone with more positions",
        ),
    ],
)
def test_broken_test_data(test: str, part: str, finished: Path, tmp_path: Path, refused) -> None:
    """An override may follow the list of `--test`."""
    text = refused(evaluate, "--run", finished, "--test", "gsm8k/test", gsm8k(tmp_path / "data", test=test))
    assert part in text and "gsm8k/test" in text


@pytest.mark.usefixtures("no_hub")
def test_hub_test_data_without_a_network_is_refused_in_time(finished: Path, refused) -> None:
    start = time.monotonic()
    assert "data.root=FOLDER" in refused(evaluate, "--run", finished, "--test", "gsm8k/test")
    assert time.monotonic() - start < 15


# ---------------------------------------------------------------- drawing


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["--row", "60"], "--row 60: the training split has rows 0 to 59"),
        (["--row", "-1"], "--row -1: the training split has rows 0 to 59"),
        (["--row", "first"], "argument --row: invalid int value: 'first'"),
        (["--figure", "tree.bmp"], "--figure tree.bmp: the name of a figure ends in .png, .pdf, .svg"),
    ],
)
def test_drawing(given: list[str], part: str, tmp_path: Path, refused) -> None:
    assert part in refused(show, *given, *overrides(tmp_path))


def test_a_picture_where_no_folder_can_be(tmp_path: Path, refused) -> None:
    (tmp_path / "file").write_text("")
    text = refused(show, "--figure", tmp_path / "file" / "tree.png", *overrides(tmp_path))
    assert f"--figure {tmp_path}/file/tree-grounding.png cannot be written" in text and "another folder" in text
