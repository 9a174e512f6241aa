"""The command line of all verbs: what it gathers, what it prints, and how it fails."""

import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from rim.base.errors import UserError
from rim.settings import Config
from rim.settings.commandline import UsageError, parse, user_errors
from rim.settings.schema import leaves, reference, sections, sentences, types_of


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--run", metavar="DIR")
    parser.add_argument("--only", nargs="+", metavar="ENTRY")


@pytest.mark.parametrize(
    ("argv", "files", "overrides"),
    [
        ("", (), ()),
        ("a=1 --config x.yaml b=2", ("x.yaml",), ("a=1", "b=2")),
        ("--config x.yaml y.yaml --config z.yaml", ("x.yaml", "y.yaml", "z.yaml"), ()),
        ("a=1 --config x.yaml a=2 --run d a=3", ("x.yaml",), ("a=1", "a=2", "a=3")),
        ("--config x.yaml a=2 --run d a=1 --config y.yaml", ("x.yaml", "y.yaml"), ("a=2", "a=1")),
        ("--config lr=1.yaml lr=2.yaml", ("lr=1.yaml",), ("lr=2.yaml",)),
        ("x.yaml", (), ("x.yaml",)),
        ("--config x.yaml --only rim direct a=1 b=2", ("x.yaml",), ("a=1", "b=2")),
        ("a=1 --only rim a=2 --config x.yaml a=3", ("x.yaml",), ("a=1", "a=2", "a=3")),
    ],
)
def test_files_and_overrides_mix_in_any_order(
    argv: str, files: tuple[str, ...], overrides: tuple[str, ...], in_folder: Path
) -> None:
    (in_folder / "lr=1.yaml").touch()
    line = parse("fit", "Train.", argv.split(), options)
    assert (line.files, line.overrides) == (files, overrides)
    only = ["rim", "direct"] if "direct" in argv else ["rim"] if "rim" in argv else None
    assert vars(line.options) == {"run": "d" if "--run" in argv else None, "only": only}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--confg x", "'--confg' is no option; did you mean --config?; there are -h, --help, --config,"),
        ("--data.train=a/b", "'--data.train=a/b' is no option: an override is written without dashes, data.train=a/b"),
        ("--config", "argument --config: expected at least one argument; see python -m rim.fit --help"),
        ("--only a=1 b=2", "--only names nothing: 'a=1' is an override; see python -m rim.fit --help"),
        ("--run", "argument --run: expected one argument; see python -m rim.fit --help"),
        ("--help-config dat", "--help-config dat: there is no such section; there are run, data, backbone,"),
    ],
)
def test_a_wrong_command_line_is_a_lesson(argv: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse("fit", "Train.", argv.split(), options)
    assert message in str(raised.value)


@pytest.mark.parametrize("word", ["x=1", "exports/x"])
def test_a_verb_that_takes_options_alone_refuses_words(word: str) -> None:
    with pytest.raises(UsageError, match=rf"^'{word}' stands behind no option; see python -m rim\.export --help$"):
        parse("export", "Export.", ["--run", "d", word], options, config=False, settings=None, words="")


def test_errors_of_the_user_end_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    @user_errors()
    def verb() -> None:
        raise UserError("the way out")

    with pytest.raises(SystemExit) as ended:
        verb()
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", "error: the way out\n")


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(ValueError, match="a defect of ours"), user_errors():
        raise ValueError("a defect of ours")


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'transformers', 'lightning', 'datasets'} & {*sys.modules}"
    script = f"import sys, atexit\natexit.register(lambda: print('heavy:', *{heavy}))\n"
    script += "from rim.fit import main\nmain(['--help'])"
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.startswith("usage: python -m rim.fit [options] [key=value ...]\n")
    assert "Train a model, choose a checkpoint" in done.stdout and done.stdout.endswith("heavy:\n")


def test_the_reference_has_every_setting_with_type_default_and_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("fit", "Train.", ["--help-config"])
    printed = capsys.readouterr().out
    assert ended.value.code == 0
    headings = [line.split(" ")[0] for line in printed.splitlines() if not line.startswith(" ")]
    assert headings == [path for path, _ in leaves()]
    assert "training.threads = null\n    a whole number or null\n    CPU threads of each process;" in printed
    assert (
        "stages[0].objective (required)\n    one of grounding, refinement, answer, chain, removal, latent," in printed
    )


def test_the_reference_of_one_section() -> None:
    headings = [line for line in reference("data.tracking").splitlines() if not line.startswith(" ")]
    assert headings[0] == "data.tracking.people = 6"
    assert len(headings) == len(types_of(type(Config().data.tracking)))
    assert reference("dat") == ""


def test_every_field_of_the_settings_has_a_sentence() -> None:
    import rim.settings

    exported = {thing for thing in vars(rim.settings).values() if isinstance(thing, type)}
    assert exported == {*sections()}
    assert {(s.__name__, name) for s in exported for name in types_of(s)} == {*sentences()}
    assert all(sentence.endswith(".") for sentence in sentences().values())


def test_an_override_longer_than_any_file_name_is_an_override() -> None:
    long = "stages=[" + ",".join(["{name: grounding, objective: grounding}"] * 20) + "]"
    assert len(long) > 255
    line = parse("fit", "", ["--config", "conf/gsm8k.yaml", long])
    assert (line.files, line.overrides) == (("conf/gsm8k.yaml",), (long,))
