"""The prompt of a run as text that any engine can be given: what stands around a question.

Read off `Method.prompt(...).final`, never from a method's name, and refused where text cannot say it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from transformers import PreTrainedTokenizerBase

from rim.base.tree import Kind
from rim.data.form import Form, encode
from rim.data.store import EncodedExample
from rim.deployment.encode import encoded
from rim.deployment.errors import ExportError
from rim.methods.method import Method
from rim.settings import Config
from rim.settings.checks.memory import WITH_BLOCKS

CHAINED = {
    "looped": "its blocks are read several times",
    "coconut": "its thoughts are states that are fed back",
    "codi": "its thoughts are states that are fed back",
}
"""Methods whose answers depend on states that no token carries."""
PROBE = "How many are 2 and 3?"


@dataclass(frozen=True)
class PromptText:
    """What a prompt is made of, in order: `begin`, blocks that come first, the question, `end`, blocks, `cue`.

    Question and `end` are written `readings` times. `trims`: outer space is taken off the question. `blocks` has the
    text of each block. They are a choice (the template variable `blocks`) where `choice` is set, and always all of
    them otherwise.
    """

    begin: str
    end: str
    trims: bool
    blocks: tuple[str, ...]
    blocks_first: bool
    choice: bool
    cue: str
    readings: int = 1

    def accepts(self, question: str) -> bool:
        """Whether a template can write this question: spaces between two readings become tokens of both."""
        return self.readings == 1 or question == question.lstrip()


def prompt_text(method: Method, config: Config, tokenizer: PreTrainedTokenizerBase, blocks: int) -> PromptText:
    """The parts of a run's prompt with this number of memory blocks, where the method has any.

    Raises:
        ExportError: the answers depend on more than a text; names the setting.
    """
    for problem in _problems(config):
        raise ExportError(f"{problem}. See docs/export.md for what can be exported")
    choice = config.method.name in WITH_BLOCKS
    form = Form.of(config.data, tokenizer)
    example, bare = _probe(form, tokenizer)
    parts = [_around(method, example, bare, number) for number in (range(blocks + 1) if choice else [None])]
    first = choice and parts[0][0] != parts[-1][0]
    sides = [before if first else after for before, after in parts]
    grown = [new[len(old) :] for old, new in pairwise(sides)] if choice else sides

    def text(ids: Sequence[int]) -> str:
        return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    return PromptText(
        begin=text(parts[0][0]) + form.frame.before,
        end=form.frame.after,
        trims=form.frame.trims,
        blocks=tuple(text(each) for each in grown if each),
        blocks_first=first,
        choice=choice,
        cue=text(method.prompt(example, None, blocks if choice else None).final.cue),
        readings=_readings(method, example, bare, form, tokenizer),
    )


def _problems(config: Config) -> Iterator[str]:
    """Why no text gives the run's answers."""
    name, memory = config.method.name, config.memory
    if name in CHAINED:
        yield f"method.name={name} cannot be exported: {CHAINED[name]}, and an engine reads tokens"
    if name not in WITH_BLOCKS:
        return
    if not memory.readout_sees_question:
        yield (
            "memory.readout_sees_question=false cannot be exported: answers must not attend to the question, and an "
            "engine's attention is causal. Train with memory.readout_sees_question=true"
        )
    if memory.insertion_layer:
        yield (
            f"memory.insertion_layer={memory.insertion_layer} cannot be exported: blocks have no states below that "
            "layer, and an engine's tokens have. Train with memory.insertion_layer=0"
        )
    if memory.placement == "sentence_ends":
        yield (
            "memory.placement=sentence_ends cannot be exported: a chat template cannot find the ends of sentences. "
            "Train with memory.placement=after_question"
        )


def _probe(form: Form, tokenizer: PreTrainedTokenizerBase) -> tuple[EncodedExample, int]:
    """A question, and the number of tokens before its text and what stands around that."""
    (ids,) = form.ids([PROBE], tokenizer)
    (plain,) = encode([form.text(PROBE)], tokenizer, special=True)
    return encoded(PROBE, ids), len(ids) - len(plain)


def _readings(
    method: Method, example: EncodedExample, bare: int, form: Form, tokenizer: PreTrainedTokenizerBase
) -> int:
    """How many times the question is read, one after the other."""
    nodes = method.prompt(example).final.trunk.nodes
    ids = [int(token) for node in nodes if node.kind == Kind.QUESTION for token in node.ids]
    readings = (len(ids) - bare) // (len(example.question) - bare)
    end = form.frame.after
    if form.ids([(PROBE + end) * (readings - 1) + PROBE], tokenizer) != [ids]:
        raise ExportError(
            f"a question that is read {readings} times cannot be exported with this tokenizer: written one after the "
            f"other the readings become other tokens than each alone, with {end!r} between them (data.question_end). "
            "Train with a line break there, and with a byte-level tokenizer"
        )
    return readings


def _around(method: Method, example: EncodedExample, bare: int, blocks: int | None) -> tuple[list[int], list[int]]:
    """The tokens before and after a question's text."""
    final = method.prompt(example, None, blocks).final
    before: list[int] = []
    after: list[int] = []
    read = 0
    for node in final.trunk.nodes:
        ids = [int(token) for token in node.ids]
        if node.kind != Kind.QUESTION:
            (before if read <= bare else after).extend(ids)
        elif after:
            raise ExportError("memory stands within the question, which a chat template cannot write")
        else:
            before += ids[: max(0, bare - read)]
            read += len(ids)
    if final.hides or final.start not in (None, len(before) + len(after) + read - bare):
        raise ExportError("an answer does not continue the text of its prompt, which an engine cannot express")
    return before, after
