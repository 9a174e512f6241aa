"""Every command that a page shows is read by its own verb: options, settings files, overrides. None is run."""

from collections.abc import Iterator
from importlib import import_module

import pytest

from rim.settings.load import load
from tests.documents.pages import ROOT, commands, name, pages

WORK = {
    "rim.fit": ("rim.training.run.fit",),
    "rim.evaluate": (
        "rim.evaluation.standalone.evaluate",
        "rim.evaluation.base_run.evaluate_base",
        "rim.deployment.score.score_folder",
    ),
    "rim.analyze": ("rim.studies.analysis.conduct.analyze",),
    "rim.ask": ("rim.deployment.console.ask",),
    "rim.export": ("rim.deployment.export.export",),
    "rim.compare": ("rim.studies.comparison.conduct.compare_planned", "rim.studies.comparison.conduct.compare_named"),
    "rim.sweep": (
        "rim.studies.sweeps.conduct.plan",
        "rim.studies.sweeps.conduct.report",
        "rim.studies.sweeps.conduct.sweep",
    ),
    "rim.bench": ("rim.studies.benchmark.conduct.conduct",),
    "rim.show": ("rim.training.drawing.draw", "rim.training.preview.preview"),
}
"""What each verb does once it has read its command line."""
SHOWN = [(page, words) for page in pages() for words in commands(page.read_text(encoding="utf-8"))]
IDS = [f"{name(page)}: {' '.join(words[2:])}" for page, words in SHOWN]


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the functions that would have done the work; the project's folder is the working directory."""
    names: list[str] = []
    for function in (function for functions in WORK.values() for function in functions):
        monkeypatch.setattr(function, lambda *_, function=function, **__: names.append(function))
    monkeypatch.chdir(ROOT)
    yield names


def read(words: list[str], begun: list[str]) -> None:
    """Give a command to its verb, whose work is replaced."""
    if "--help-config" in words:
        with pytest.raises(SystemExit, match=r"^0$"):
            import_module(words[2]).main(words[3:])
        return
    import_module(words[2]).main(words[3:])
    assert len(begun) == 1 and begun[0] in WORK[words[2]]
    if "--run" in words:  # the run's own settings are not at hand: those of another one do
        load(["conf/gsm8k.yaml"], [word for word in words if "=" in word and not word.startswith("-")])


@pytest.mark.parametrize("words", [words for _, words in SHOWN], ids=IDS)
def test_a_command_is_read_by_its_verb(words: list[str], begun: list[str]) -> None:
    read(words, begun)


def test_every_verb_is_shown_in_docs() -> None:
    assert {words[2] for page, words in SHOWN if page.parent == ROOT / "docs"} == WORK.keys()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("python -m rim.fit --confg conf/gsm8k.yaml", "did you mean --config?"),
        ("python -m rim.fit --config conf/gsm9k.yaml", "did you mean 'conf/gsm8k.yaml'?"),
        ("python -m rim.sweep --config conf/sweeps/smoke.yaml training.batchsize=3", "batch_size"),
    ],
)
def test_a_command_that_no_longer_works_is_found(
    command: str, message: str, begun: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read(commands(command)[0], begun)
    assert message in capsys.readouterr().err
