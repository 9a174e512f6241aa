"""Ask a model from a terminal: questions and answers as text or as JSON lines."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rim.base.errors import UserError
from rim.deployment.model import Model, load
from rim.report.tables import table

WARM_UP = "How many are 2 and 3?"
"""Asked before the first question, so that latencies are those of a warm model."""


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
    model.answer(WARM_UP, form.blocks)
    if questions:
        for question in questions:
            _show(model, question, form)
        return
    for question in _lines():
        try:
            _show(model, question, form)
        except UserError as error:
            if not sys.stdin.isatty():
                raise
            print(f"error: {error}", file=sys.stderr)


def _lines() -> Iterator[str]:
    """Lines of standard input, with a prompt on a terminal; blank ones are passed over."""
    terminal = sys.stdin.isatty()
    while True:
        try:
            line = input("question> " if terminal else "")
        except EOFError:
            return
        if line.strip():
            yield line


def _show(model: Model, question: str, form: Form) -> None:
    facts = facts_of(model, question, form)
    print(json.dumps(facts, ensure_ascii=False) if form.json else text_of(facts), flush=True)


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
    head = f"{facts['answer'] or '(no answer)'}    {facts['milliseconds']:.0f} ms"
    return "\n".join([*chain, head, *_table(facts["readouts"])])


def _table(readouts: Sequence[dict[str, Any]]) -> Iterable[str]:
    if len(readouts) < 2:
        return []
    steps = "step" in readouts[0]
    header = ["block", "answer", "probability", *(["step"] if steps else [])]
    rows = [
        [str(r["block"]), r["answer"], f"{r['probability']:.2f}", *([r["step"]] if steps else [])] for r in readouts
    ]
    return ["", table(rows, header), ""]
