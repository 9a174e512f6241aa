"""Repeated questions: the layout by hand, the same sequence as a literal text, and what an export writes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from rim.base.tree import Kind, pad
from rim.deployment.errors import ExportError
from rim.deployment.prompt import prompt_text
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings import Config
from tests.data.tokenizers import byte_level, metaspace
from tests.models import at, config, example, tiny_backbone

BACKBONE = tiny_backbone()
SPECIAL = BACKBONE.special


def settings(repeats: int) -> Config:
    asked = config("repeat")
    asked.method.repeats = repeats
    return asked


def made(repeats: int = 2) -> Method:
    return build_method(settings(repeats), BACKBONE.tokenizer)


@pytest.mark.parametrize("repeats", [2, 3])
def test_the_answer_follows_all_readings(repeats: int) -> None:
    of = example(4, (3, 2), answer=2)
    tree = made(repeats).layout(of, at("answer", 0.5))
    assert [(node.kind, list(node.ids), node.parent) for node in tree.nodes] == [
        *((Kind.QUESTION, of.question.tolist(), number - 1 if number else None) for number in range(repeats)),
        (Kind.ANSWER, [*of.answer.tolist(), SPECIAL.end], repeats - 1),
    ]
    assert tree.count == 1


def test_a_token_that_begins_texts_stands_once() -> None:
    of, tokenizer = example(4), byte_level()
    tokenizer.add_special_tokens({"bos_token": "<begin>"})
    begin = tokenizer.bos_token_id
    begun = replace(of, question=np.array([begin, *of.question], dtype=np.int32))
    ids = build_method(settings(3), tokenizer).prompt(begun).trunk.flat.ids_N.tolist()
    assert ids == [begin, *of.question.tolist() * 3]


def test_loss_and_answer_are_those_of_plain_causal_text() -> None:
    """The sequence question, question, answer, end, read by the model itself without a mask or positions of ours."""
    of, method = example(6, (), answer=3), made()
    text = torch.tensor([[*of.question.tolist() * 2, *of.answer.tolist(), SPECIAL.end]])
    with torch.no_grad():
        logits_NV = BACKBONE.model(input_ids=text, use_cache=False).logits[0]
        losses = method.losses(BACKBONE, pad([method.layout(of, at("answer"))], SPECIAL.pad))
    start = 2 * len(of.question)
    literal = cross_entropy(logits_NV[start - 1 : -1].float(), text[0, start:], reduction="mean")
    assert losses.total.item() / losses.count == pytest.approx(literal.item(), rel=1e-5)


@pytest.mark.parametrize(("end", "tokenizer"), [("\n", metaspace()), ("", metaspace())])
def test_a_tokenizer_that_reads_a_text_twice_otherwise_is_refused(end: str, tokenizer: object) -> None:
    asked = settings(2)
    asked.data.question_end = end
    method = build_method(asked, tokenizer)  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=r"a question that is read 2 times cannot be exported with this tokenizer"):
        prompt_text(method, asked, tokenizer, 0)  # type: ignore[arg-type]


def test_an_export_says_how_often_the_question_is_read() -> None:
    asked = settings(3)
    prompt = prompt_text(build_method(asked, byte_level()), asked, byte_level(), 0)
    assert (prompt.readings, prompt.blocks, prompt.end) == (3, (), "\n")
    assert prompt.accepts("Who? ") and not prompt.accepts(" Who?")
