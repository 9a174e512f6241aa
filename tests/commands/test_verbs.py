"""What verbs do besides refusing: help at once that fits a screen, the list of verbs, and `rim.show` on a tiny task."""

import ast
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from rim import __main__ as overview
from rim import show
from rim.settings import Config
from rim.settings.load import load
from rim.settings.schema import types_of
from tests.runs import overrides

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "transformers", "lightning", "datasets", "numpy"}


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Top-level names in the report of `-X importtime`."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert lines, done.stderr
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("verb", overview.VERBS)
def test_help_imports_nothing_heavy(verb: str) -> None:
    done = python("-X", "importtime", "-m", f"rim.{verb}", "--help")
    assert done.returncode == 0 and f"python -m rim.{verb}" in done.stdout
    assert imported(done) & HEAVY == set()


@pytest.mark.parametrize("given", ["training.batchsize=4", "training.batch_size=many", "data.train=gsm9k/train"])
def test_wrong_settings_are_refused_before_anything_heavy_is_imported(given: str) -> None:
    done = python("-X", "importtime", "-m", "rim.fit", given)
    assert done.returncode == 2 and "\nerror: " in done.stderr
    assert imported(done) & {"torch", "transformers", "lightning", "datasets"} == set()


@pytest.mark.parametrize("verb", overview.VERBS)
def test_importing_a_verb_imports_nothing_heavy(verb: str) -> None:
    done = python(
        "-c", f"import sys, rim.{verb}; print({sorted(HEAVY)!r} and [n for n in {sorted(HEAVY)!r} if n in sys.modules])"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize("verb", overview.VERBS)
def test_help_fits_a_screen_and_has_one_example_that_can_be_typed(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", [verb])
    module = import_module(f"rim.{verb}")
    with pytest.raises(SystemExit) as ended:
        module.main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0
    assert len(lines) <= 25 and max(map(len, lines)) <= 82
    (example,) = [line.strip() for line in lines if line.startswith("  python -m rim.")]
    assert lines[lines.index(f"  {example}") - 1] == "Example:"
    python_, m, name, *words = shlex.split(example)
    assert (python_, m, name) == ("python", "-m", f"rim.{verb}")
    assert all((ROOT / word).exists() for word in words if word.startswith("conf/"))
    sections = {*types_of(Config)} | {"batch_sizes"}
    assert all(word.partition("=")[0].partition(".")[0] in sections for word in words if "=" in word)


def test_the_list_has_every_verb_and_commands_to_begin_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert overview.main([]) == 0
    text = capsys.readouterr().out
    runnable = {path.stem for path in (ROOT / "rim").glob("*.py") if "@user_errors()" in path.read_text()}
    assert {*overview.VERBS} == runnable - {"__main__"}
    for verb in overview.VERBS:
        first = (ast.get_docstring(ast.parse((ROOT / "rim" / f"{verb}.py").read_text())) or "").splitlines()[0]
        assert f"  {verb:<10}{first}\n" in text
    for command in ("rim.show --config conf/demo.yaml", "rim.fit --config conf/demo.yaml", "tensorboard --logdir runs"):
        assert command in text
    assert max(map(len, text.splitlines())) <= 82


def test_a_word_that_is_no_verb_is_a_lesson(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        overview.main(["fti"])
    known = "fit, evaluate, analyze, ask, export, compare, sweep, bench, show"
    message = f"error: 'fti' is no verb; did you mean 'fit'?; there are {known}\n"
    assert (ended.value.code, capsys.readouterr().err) == (2, message)


def test_a_verb_may_be_the_first_word(capsys: pytest.CaptureFixture[str]) -> None:
    """`rim fit …` is `python -m rim.fit …`."""
    with pytest.raises(SystemExit) as ended:
        overview.main(["fit", "training.batchsize=4"])
    assert ended.value.code == 2 and "did you mean 'training.batch_size'" in capsys.readouterr().err


def test_the_list_imports_nothing_heavy() -> None:
    done = python("-X", "importtime", "-m", "rim")
    assert done.returncode == 0 and "verbs:" in done.stdout
    assert imported(done) & HEAVY == set()


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert show.main(list(argv)) == 0
    return capsys.readouterr().out


def test_show_prints_settings_that_read_back_and_a_tree_for_each_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = overrides(tmp_path)
    settings, *trees = shown(capsys, *given).split("\nstage ")
    (tmp_path / "shown.yaml").write_text(settings)
    assert load([tmp_path / "shown.yaml"]) == load([], given)
    grounding, refinement = trees
    assert grounding.startswith("grounding, example tracking/train/0\n")
    assert refinement.startswith("refinement, example tracking/train/0\n")
    leaves = [line.split() for line in refinement.splitlines() if "readout" in line]
    assert [words[:4] for words in leaves] == [
        ["├", "readout", "1:", "answer"], ["├", "readout", "2:", "answer"], ["└", "readout", "3:", "answer"],
    ]  # fmt: skip
    assert [words[6] for words in leaves] == ["0.167", "0.333", "0.500"]
    assert refinement.count("<|b|><|m|><|m|><|/b|>") == 3


def test_show_draws_the_row_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "--row", "7", *overrides(tmp_path))
    assert text.count("example tracking/train/7\n") == 2
    assert shown(capsys, "--row", "7", *overrides(tmp_path, "memory.blocks=5")).count("readout 5: answer") == 1


@pytest.mark.parametrize(
    ("name", "files"), [("tree.png", "tree-{}.png"), ("tree", "tree-{}.png"), ("a/b.svg", "a/b-{}.svg")]
)
def test_show_saves_a_picture_for_each_stage(
    name: str, files: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, "--picture", str(tmp_path / name), *overrides(tmp_path))
    for stage in ("grounding", "refinement"):
        path = tmp_path / files.format(stage)
        assert path.stat().st_size > 1000 and f"figure: {path}" in text


@pytest.mark.parametrize(("method", "stage"), [("cot", "chain"), ("direct", "answer")])
def test_show_knows_every_method(method: str, stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = [word for word in overrides(tmp_path) if not word.startswith("stages.1")]
    text = shown(capsys, *plain, f"method.name={method}")
    assert text.count(f"\nstage {stage}, example ") == 1
