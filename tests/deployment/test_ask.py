"""Asking a run gives the answers that scoring it gives; what is shown; what is refused."""

import io
import json
import math
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import rim
from rim import ask
from rim.base.errors import UserError
from rim.deployment import api
from rim.deployment.console import Form, text_of
from rim.deployment.model import AskError, load
from rim.evaluation.early.adaptive_run import open_adaptive
from rim.evaluation.finished import settings_of
from rim.evaluation.predictions import Prediction, read_jsonl
from rim.runs.folder import RunFolder
from tests.deployment.conftest import Trained
from tests.documents.pages import ROOT


def scored(run: Path) -> list[Prediction]:
    return read_jsonl(run / "results" / "tracking-test.jsonl")


def test_answers_are_those_of_the_evaluation(trained: Trained) -> None:
    run = trained()
    predictions = scored(run)
    model = rim.load(run)
    replies = model.answer([row.question for row in predictions])
    assert [reply.answer for reply in replies] == [row.answers[-1] for row in predictions]
    assert all(reply.milliseconds > 0 and reply.chain == "" for reply in replies)
    for row in predictions:
        readouts = model.readouts(row.question)
        assert tuple(each.answer for each in readouts) == row.answers
        assert [each.block for each in readouts] == [1, 2, 3]
        assert all(0 < each.probability <= 1 for each in readouts)
        assert model.answer(row.question, blocks=2).answer == row.answers[1]


def test_probabilities_are_those_that_choose_among_answers(trained: Trained) -> None:
    """What `rim.ask` shows of a readout is the confidence of `rim.evaluate --adaptive`."""
    folder = RunFolder(trained())
    opened = open_adaptive(folder, settings_of(folder, (), None), None)
    [split] = opened.tests.values()
    found, model = opened.read(split), rim.load(folder.path)
    for prediction, confidence_K in zip(found.predictions, found.confidence_EK, strict=True):
        shown = [each.probability for each in model.readouts(prediction.question)]
        assert shown == pytest.approx(confidence_K.tolist(), abs=1e-5)


def test_steps_are_read_with_the_grounding_checkpoint(trained: Trained) -> None:
    run = trained()
    question = scored(run)[0].question
    grounding = load(run, "grounding-best")
    steps = load(run).steps(question)
    assert len(steps) == 3
    assert [step.startswith(each.answer) for step, each in zip(steps, grounding.readouts(question), strict=True)]


def test_steps_are_read_after_a_number_of_blocks_that_there_can_be(trained: Trained) -> None:
    with pytest.raises(AskError, match="blocks=0: an answer is read after at least one block"):
        load(trained()).steps("Who?", blocks=0)


def test_threads_that_share_a_model_get_their_own_answers(trained: Trained) -> None:
    model, questions = load(trained()), [row.question for row in scored(trained())]
    ask_one: list[Callable[[str], Any]] = [lambda text: model.answer(text).answer, model.readouts, model.prompt]
    with ThreadPoolExecutor(8) as pool:
        for function in ask_one:
            alone = [str(function(question)) for question in questions]
            assert [*map(str, pool.map(function, questions * 3))] == alone * 3


@pytest.mark.parametrize("variant", ["memory_blocks, inserted", "looped", "icot", "coconut"])
def test_every_method_answers_as_it_is_scored(variant: str, trained: Trained) -> None:
    run = trained(variant)
    model, rows = load(run), scored(run)[:3]
    assert [reply.answer for reply in model.answer([row.question for row in rows])] == [row.answers[-1] for row in rows]
    for row in rows:
        assert tuple(each.answer for each in model.readouts(row.question)) == row.answers


def test_a_chain_of_thought_is_shown(trained: Trained) -> None:
    run = trained("cot")
    rows = scored(run)
    reply = load(run).answer(rows[0].question)
    assert (reply.answer, reply.chain) == (rows[0].answers[0], (rows[0].texts or rows[0].answers)[0].strip())
    (readout,) = load(run).readouts(rows[0].question)
    assert readout.block == 0
    with pytest.raises(AskError, match="blocks=2: method cot has no blocks; those that have: memory_blocks"):
        load(run).answer("Who?", blocks=2)
    with pytest.raises(AskError, match="has no checkpoint of a grounding stage, so blocks cannot be read as steps"):
        load(run).steps("Who?")


@pytest.mark.parametrize(
    ("question", "blocks", "said"),
    [
        (" \n", None, r"the question ' \n' is empty: ask one in words"),
        ("Who\udce9?", None, r"the question 'Who\udce9?' holds signs that are no text: write it in UTF-8"),
        ("Who?", 0, "blocks=0: an answer is read after at least one block"),
        ("word " * 400, None, "question 'word word word word word word word word…' takes"),
        ("字" * 400, None, f"question '{'字' * 39}…' takes"),
    ],
)
def test_what_cannot_be_asked_is_refused(question: str, blocks: int | None, said: str, trained: Trained) -> None:
    with pytest.raises(UserError) as error:
        load(trained()).answer(question, blocks)
    assert said in str(error.value)


def test_the_verb_prints_text_or_json(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained()
    row = scored(run)[0]
    assert ask.main(["--run", str(run), "--json", "--steps", row.question]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["question"], facts["answer"]) == (row.question, row.answers[-1])
    assert [each["answer"] for each in facts["readouts"]] == list(row.answers)
    assert all(math.isfinite(each["probability"]) and "step" in each for each in facts["readouts"])
    assert ask.main(["--run", str(run), row.question, "--blocks", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].startswith(f"{row.answers[1] or '(no answer)'}    ") and "| block " in shown


def test_questions_come_through_a_pipe(
    trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [row.question for row in scored(trained())[:2]]
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{questions[0]}\n\n{questions[1]}\n"))
    assert ask.main(["--run", str(trained()), "--json"]) == 0
    assert [json.loads(line)["question"] for line in capsys.readouterr().out.splitlines()] == questions


def test_a_line_that_is_not_utf8_is_refused_after_those_before_it(
    trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Who?\nWho\xe9?\n"), encoding="utf-8"))
    with pytest.raises(SystemExit, match=r"^2$"):
        ask.main(["--run", str(trained()), "--json"])
    shown = capsys.readouterr()
    assert json.loads(shown.out)["question"] == "Who?"
    assert r"error: the question 'Who\udce9?' holds signs that are no text" in shown.err


class Terminal(io.StringIO):
    """What somebody types, who ends it with Ctrl-C."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1) -> str:
        line = super().readline(-1)
        if not line:
            raise KeyboardInterrupt
        return line


def test_a_typed_question_that_cannot_be_answered_ends_nothing(
    trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (row, *_) = scored(trained())
    monkeypatch.setattr("sys.stdin", Terminal(f"\n{'word ' * 400}\n{row.question}\n"))
    assert ask.main(["--run", str(trained()), "--blocks", "1"]) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith("error: question 'word word") and shown.err.count("\n") == 1
    answer = row.answers[0] or "(no answer)"
    assert shown.out.startswith(
        f"One question a line; Ctrl-D ends.\nquestion> question> question> {answer}    "
    ) and shown.out.endswith("\nquestion> \n")


def test_several_answers_stand_below_their_questions(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = scored(trained())[:2]
    assert ask.main(["--run", str(trained()), "--blocks", "1", first.question, second.question]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0::2] == [first.question, second.question]
    assert lines[1].startswith(f"{first.answers[0] or '(no answer)'}    ")


def test_an_answer_without_text_is_said() -> None:
    facts = {"answer": "", "chain": "2 + 3 = 5", "milliseconds": 3.2, "readouts": []}
    assert text_of(facts) == "2 + 3 = 5\n(no answer)    3 ms"
    assert Form() == Form(None, False, False)


def test_a_program_ends_where_sigterm_has_stopped_its_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on with a run that is half trained, and report success."""
    monkeypatch.setattr(api, "_fit", lambda _: 143)
    with pytest.raises(SystemExit, match=r"^143$"):
        api.fit(rim.load_config([], ["run.name=stopped"]))


@pytest.mark.parametrize("page", ["README.md", "docs/ask.md"])
def test_the_example_of_a_page_runs(
    page: str, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a short run that stands for `runs/demo`, and for what `rim.fit` trains."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(trained())
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rim, "fit", lambda config: Path("runs") / config.run.name.replace("notebook", "demo"))
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "example.py").write_text("\n".join(blocks), encoding="utf-8")
    runpy.run_path("example.py")
    question = "Ann has the pin. Ann and Bob swap. Who has the pin?"
    assert question in "".join(blocks) and rim.load(trained()).answer(question).answer in capsys.readouterr().out


def test_importing_rim_is_light_and_lazy() -> None:
    code = (
        "import sys, rim; heavy = {'torch', 'numpy', 'transformers', 'omegaconf'} & {*sys.modules}; "
        "print(heavy, sorted(rim.__all__) == [n for n in dir(rim) if n in rim.__all__], callable(rim.fit))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["set()", "True", "True"]
    with pytest.raises(AttributeError, match="has no attribute 'lode'; it has Example, Model, Readout"):
        _ = rim.lode
