"""Blocks that are read one by one: answers, probabilities and states are those of all blocks read at once.

Axes: K blocks, D width.
"""

from collections.abc import Sequence

import pytest
import torch
from one_by_one import Readout, read_until

from rim.backbone.backbone import Backbone
from rim.backbone.observer import Observer, layer_at
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings.load import load
from tests.models import example, stopped
from tests.numerics import literal

EXAMPLES = [stopped(example(9, seed=0), 3), stopped(example(14, seed=2), 2, 9)]
BLOCKS, NEW = 3, 4
FORMS = {
    "after the question": (),
    "with a cue": ("method.answer_cue=So: ",),
    "hidden question": ("memory.readout_sees_question=false", "method.answer_cue=So: "),
    "after the last block": ("memory.readout_position=after_last_block",),
    "at ends of sentences": ("memory.placement=sentence_ends", "method.answer_cue=So: "),
    "before the question": ("memory.placement=before_question",),
    "inserted": ("memory.insertion_layer=2",),
    "inserted at ends of sentences": ("memory.insertion_layer=1", "memory.placement=sentence_ends"),
}


def made(backbone: Backbone, form: str) -> Method:
    method = build_method(load([], [f"memory.blocks={BLOCKS}", *FORMS[form]]), backbone.tokenizer)
    method.add_modules(backbone)
    return method


def until(stop: int, seen: list[Readout] | None = None):
    """Stops after a block; keeps what it saw."""

    def rule(readouts: Sequence[Readout]) -> bool:
        if seen is not None:
            seen[:] = readouts
        return len(readouts) == stop

    return rule


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family", ["gpt2", "llama", "mistral"])
def test_every_stop_gives_what_all_blocks_at_once_give(family: str, form: str) -> None:
    backbone = literal.exact(family, **({"sliding_window": 6} if family == "mistral" else {}))
    method, observer = made(backbone, form), Observer(layer=2)
    for each in EXAMPLES:
        prompt = method.prompt(each)
        [wanted] = method.answer(backbone, [prompt], NEW, observe=observer)
        for stop in range(1, BLOCKS + 1):
            found = read_until(backbone, prompt, NEW, until(stop), layer_at(backbone, 2))
            assert (found.block, found.answer) == (stop, wanted[stop - 1])
            assert found.probability == pytest.approx(float(observer.probability_BK[0, stop - 1]), abs=1e-6)
            assert found.state_D is not None
            state_D = observer.state_BKD[0, stop - 1].double()
            assert torch.allclose(found.state_D.double(), state_D, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_that_is_looked_at_changes_no_later_one(form: str) -> None:
    """Agreement decodes after every block; those tokens stay in the cache, and nobody sees them."""
    backbone = literal.exact("llama")
    method = made(backbone, form)
    prompt = method.prompt(EXAMPLES[0])
    [wanted] = method.answer(backbone, [prompt], NEW)
    answers: list[list[int]] = []

    def look(readouts: Sequence[Readout]) -> bool:
        answers.append(readouts[-1].answer)
        return False

    last = read_until(backbone, prompt, NEW, look)
    assert [*answers, last.answer] == wanted and last.block == BLOCKS


def test_a_block_costs_a_pass_and_an_answer_is_decoded_once() -> None:
    backbone = literal.exact("gpt2")
    method = made(backbone, "after the question")
    prompt = method.prompt(EXAMPLES[0])
    with literal.passes(backbone) as passes:
        found = read_until(backbone, prompt, NEW, until(2))
        assert passes() == 2
        tokens = found.answer
        after = passes()
        assert after == 2 + min(len(tokens) + 1, NEW) - 1
        assert found.answer is tokens and passes() == after


def test_no_gradients_are_kept_for_answers_that_are_asked_for_later() -> None:
    """They would slow the decoding that is timed, and hold its memory."""
    backbone = literal.exact("gpt2")
    prompt = made(backbone, "after the question").prompt(EXAMPLES[0])
    found = read_until(backbone, prompt, NEW, until(2))
    kept: list[bool] = []
    handle = backbone.register_forward_hook(lambda _, __, output: kept.append(output.logits.requires_grad))
    found.answer  # noqa: B018 - decodes
    handle.remove()
    assert len(kept) == NEW - 1 and not any(kept)


def test_the_last_block_asks_no_rule() -> None:
    backbone, seen = literal.exact("gpt2"), []
    prompt = made(backbone, "after the question").prompt(EXAMPLES[0])
    assert read_until(backbone, prompt, NEW, until(99, seen)).block == BLOCKS
    assert [readout.block for readout in seen] == [1, 2] and seen[0].state_D is None
