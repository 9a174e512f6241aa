"""Ask a model from a terminal: questions and answers as text or as JSON lines."""

import io
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from rim.base.errors import UserError
from rim.deployment.model import Model, load
from rim.deployment.prompt import PROBE
from rim.report.tables import table


@dataclass(frozen=True)
class Form:
    """What is shown of an answer: after how many blocks, with the steps of the blocks, as JSON."""

    blocks: int | None = None
    steps: bool = False
    json: bool = False


def ask(run: Path, checkpoint: str | None, questions: Sequence[str], form: Form) -> None:
    """Answer the questions, or those that are typed or piped in, a line each.

    Raises:
        UserError: there is no such run or checkpoint, or a question cannot be answered; of those that are typed it is
            reported, and the next is asked.
    """
    model = load(run, checkpoint)
    model.answer(PROBE, form.blocks)  # so that latencies are those of a warm model
    if not questions and sys.stdin.isatty():
        _converse(model, form)
        return
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # a byte that is no text is refused with its question
    several = len(questions) != 1  # then each answer stands below its question
    for question in questions or filter(str.strip, (line.rstrip("\r\n") for line in sys.stdin)):
        _show(model, question, form, several)


def _converse(model: Model, form: Form) -> None:
    """Questions that are typed, until the end of the input or Ctrl-C; one that cannot be answered ends nothing."""
    with suppress(ImportError):  # not on Windows
        import_module("readline")  # arrow keys edit the line and bring former questions back
    print("One question a line; Ctrl-D ends.")
    while True:
        try:
            question = input("question> ")
            if question.strip():
                _show(model, question, form)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
        except (EOFError, KeyboardInterrupt):
            print()
            return


def _show(model: Model, question: str, form: Form, named: bool = False) -> None:
    facts = facts_of(model, question, form)
    text = json.dumps(facts, ensure_ascii=False) if form.json else text_of(facts)
    print(f"{question}\n{text}" if named and not form.json else text, flush=True)


def facts_of(model: Model, question: str, form: Form) -> dict[str, Any]:
    """The reply, the readouts, and the steps where they are asked for, in plain types."""
    reply = model.answer(question, form.blocks)
    readouts = [asdict(each) for each in model.readouts(question, form.blocks)]
    if form.steps:
        texts = model.steps(question, form.blocks)
        readouts = [each | {"step": text} for each, text in zip(readouts, texts, strict=True)]
    return {**asdict(reply), "readouts": readouts, "checkpoint": model.about["name"]}


def text_of(facts: dict[str, Any]) -> str:
    """The facts as a person reads them: answer and latency, the chain of thought, and a table of readouts."""
    chain = [facts["chain"]] if facts["chain"] else []
    lines = [*chain, f"{facts['answer'] or '(no answer)'}    {facts['milliseconds']:.0f} ms"]
    readouts = [{**each, "probability": f"{each['probability']:.2f}"} for each in facts["readouts"]]
    if len(readouts) > 1:
        lines += ["", table([list(each.values()) for each in readouts], list(readouts[0])), ""]
    return "\n".join(lines)
