"""Direct answers: the layout by hand; and methods by name."""

import pytest

from rim.base.tree import Kind
from rim.methods.method import Method
from rim.methods.registry import MethodError, build_method
from rim.settings import Config
from tests.models import at, config, example, tiny_backbone

BACKBONE = tiny_backbone()
SPECIAL = BACKBONE.special


def made(**changes: object) -> Method:
    settings: Config = config("direct")
    for name, value in changes.items():
        setattr(settings.method, name, value)
    return build_method(settings, BACKBONE.tokenizer)


@pytest.mark.parametrize(("rule", "each"), [("mean", 1 / 3), ("sum", 1)])
def test_the_answer_is_the_only_leaf(rule: str, each: float) -> None:
    of = example(4, (3, 2), answer=2)
    tree = made(within_readout=rule).layout(of, at("answer", 0.5))
    assert [(n.kind, list(n.ids), n.parent, n.weight, n.readout) for n in tree.nodes] == [
        (Kind.QUESTION, of.question.tolist(), None, 0, 0),
        (Kind.ANSWER, [*of.answer.tolist(), SPECIAL.end], 0, pytest.approx(each), 0),
    ]
    assert tree.count == 1


def test_a_cue_stands_before_the_answer_and_in_the_prompt() -> None:
    of = example(4)
    method = made(answer_cue="7 ")
    cue = BACKBONE.tokenizer("7 ")["input_ids"]
    nodes = method.layout(of, at("answer", 0.0)).nodes
    assert [(node.kind, node.parent, node.weight > 0) for node in nodes] == [
        (Kind.QUESTION, None, False), (Kind.CUE, 0, False), (Kind.ANSWER, 1, True),
    ]  # fmt: skip
    assert list(nodes[1].ids) == cue
    prompt = method.prompt(of)
    assert (list(prompt.trunk.flat.ids_N), prompt.branches, prompt.cue) == (of.question.tolist(), (0,), tuple(cue))


def test_the_generated_text_is_the_answer() -> None:
    assert not made().writes_chain()
    assert made().answer_in(" 12 \n") == "12"
    assert made().answer_begins([5, 6]) == 0


def test_an_unknown_method_is_refused_by_name() -> None:
    settings = config("direct")
    settings.method.name = "coco"  # type: ignore[assignment]
    with pytest.raises(
        MethodError, match="'coco' is not a method; known methods: memory_blocks, looped, direct, repeat"
    ):
        build_method(settings, BACKBONE.tokenizer)
