"""Chains of thought: the layout by hand, and that what was trained can be read back from text."""

import pytest

from rim.base.tree import Kind
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings import Config
from tests.models import at, config, example, tiny_backbone

BACKBONE = tiny_backbone()
SPECIAL = BACKBONE.special


def ids(text: str) -> list[int]:
    return BACKBONE.tokenizer(text, add_special_tokens=False)["input_ids"]


def made(**changes: object) -> Method:
    settings: Config = config("cot")
    for name, value in changes.items():
        setattr(settings.method, name, value)
    return build_method(settings, BACKBONE.tokenizer)


def test_a_chain_is_one_leaf_of_steps_mark_and_answer() -> None:
    of = example(4, (3, 2))
    tree = made().layout(of, at("chain", 0.3))
    parts = [[*of.steps[0].tolist(), *ids("\n")], [*of.steps[1].tolist(), *ids("\n")]]
    parts += [ids("#### "), [*of.answer.tolist(), SPECIAL.end]]
    each = 1 / sum(map(len, parts))
    assert [(n.kind, list(n.ids), n.parent, n.weight, n.readout) for n in tree.nodes] == [
        (Kind.QUESTION, of.question.tolist(), None, 0, 0),
        (Kind.STEP, parts[0], 0, each, 0),
        (Kind.STEP, parts[1], 1, each, 0),
        (Kind.CUE, parts[2], 2, each, 0),
        (Kind.ANSWER, parts[3], 3, each, 0),
    ]
    assert tree.count == 1
    flat = tree.flat
    assert flat.position_N.tolist() == list(range(len(flat.ids_N)))
    assert flat.previous_N.tolist() == list(range(-1, len(flat.ids_N) - 1))


@pytest.mark.parametrize(("rule", "total"), [("mean", 1), ("sum", None)])
def test_a_chain_weighs_one_or_each_of_its_tokens_does(rule: str, total: int | None) -> None:
    tree = made(within_readout=rule).layout(example(4, (3, 2)), at("chain", 0.0))
    supervised = len(tree.flat.ids_N) - 4
    assert tree.flat.weight_N.sum() == pytest.approx(total or supervised)
    assert tree.count == 1


def test_an_example_without_steps_is_mark_and_answer() -> None:
    of = example(4, ())
    kinds = [node.kind for node in made().layout(of, at("chain", 0.0)).nodes]
    assert kinds == [Kind.QUESTION, Kind.CUE, Kind.ANSWER]


def test_the_separator_of_steps_may_be_another_or_none() -> None:
    of = example(4, (3,))
    assert list(made(step_separator=" ; ").layout(of, at("chain", 0.0)).nodes[1].ids) == [*of.steps[0], *ids(" ; ")]
    assert list(made(step_separator="").layout(of, at("chain", 0.0)).nodes[1].ids) == of.steps[0].tolist()


def test_the_trained_chain_is_read_back_as_its_answer() -> None:
    texts = {"question": "Ann has 3 cups.\n", "steps": ["<<3+4=7>>", "<<7*2=14>>"], "answer": "14"}
    steps = tuple(ids(step) for step in texts["steps"])
    of = EncodedExample("test/0", ids(texts["question"]), steps, ids(texts["answer"]), "14", "")  # type: ignore[arg-type]
    method = made()
    leaf = [token for node in method.layout(of, at("chain", 0.0)).nodes[1:] for token in node.ids]
    text = BACKBONE.tokenizer.decode(leaf, skip_special_tokens=True)
    assert text == "<<3+4=7>>\n<<7*2=14>>\n#### 14"
    assert method.answer_in(text) == "14"
    assert BACKBONE.tokenizer.decode(leaf[method.answer_begins(leaf) :], skip_special_tokens=True) == "14"
    assert method.answer_begins(leaf[:5]) == 5, "no mark, no answer"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<<3+4=7>>\n#### 7", "7"),
        ("#### 7 ", "7"),
        ("a\n#### 5\n#### 7", "7"),
        ("<<3+4=7>>", ""),
        ("", ""),
        ("<<3+4=7>>\n####", ""),
    ],
)
def test_reading(text: str, answer: str) -> None:
    assert made().answer_in(text) == answer


def test_the_prompt_is_the_question_and_the_whole_chain_is_generated() -> None:
    of = example(4)
    prompt = made(answer_cue="given to direct answers only").prompt(of)
    assert [(node.kind, list(node.ids)) for node in prompt.trunk.nodes] == [(Kind.QUESTION, of.question.tolist())]
    assert prompt.branches == (0,) and prompt.cue == ()
    assert made().writes_chain()
