"""Answers that a tokenizer cannot write, and texts that it knows in part: counted, and refused where they are many."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from rim.data import tokens
from rim.data.answers import grade
from rim.data.encode import Request, encode
from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.few import Failures
from rim.data.registry import parse_source
from rim.data.survival import LOST, Survival
from rim.data.unknown import Unknown
from rim.settings import Data, Own
from tests.data.tokenizers import TOKENIZERS, byte_level, metaspace, word_level

ANSWERS = (
    *(("text", "half"), ("text", "no none"), ("text", "a → b"), ("text", "méyl"), ("text", "Tom has it.")),
    *(("sentence", "Tom has it."), ("number", "1,080.50"), ("number", "3/4"), ("choice", "B"), ("yes_no", "yes")),
    *(("latex", "\\frac{1}{2}"), ("letters", "yajo"), ("text", "a, b")),
)
LOSES: dict[str, set[str]] = {
    "byte level": set(),
    "byte level, a space before": set(),
    "byte level, small letters": {"sentence: Tom has it."},
    "byte level, no accents": {"text: méyl"},
    "byte level, some bytes": {"text: a → b", "text: méyl", "latex: \\frac{1}{2}", "letters: yajo"},
    "metaspace": {"text: a → b", "text: méyl", "latex: \\frac{1}{2}", "letters: yajo"},
    "word piece": {
        *("text: a → b", "text: méyl", "sentence: Tom has it.", "number: 1,080.50", "latex: \\frac{1}{2}"),
        "letters: yajo",
    },
    "word level": {f"{rule}: {answer}" for rule, answer in ANSWERS} - {"text: half", "text: no none", "yes_no: yes"},
}
LOSES |= {name: LOSES["metaspace"] for name in ("metaspace, undeclared", "metaspace, leaves out", "unigram")}
LOSES["word level, ends in a word"] = LOSES["word level"] | {"text: no none"}
"""What each tokenizer cannot write, by eye."""


@pytest.mark.parametrize("name", TOKENIZERS)
def test_answers_that_do_not_come_back_are_found(name: str) -> None:
    tokenizer, lost = TOKENIZERS[name](), set()
    for rule, answer in ANSWERS:
        [segments] = tokens.tokenise([Example("x", "Who?", (), answer)], tokenizer, Data())
        survival = Survival(tokenizer, rule, keep=False)
        if not survival.sift([(Example("x", "Who?", (), answer), segments)]):
            lost.add(f"{rule}: {answer}")
            assert survival.counts == {LOST: 1}
    assert lost == LOSES[name]


def test_every_answer_is_judged_as_the_slow_way_judges_it() -> None:
    """Many rows with few answers, in two batches: one decoding for each answer, one verdict for each row."""
    tokenizer, survival = metaspace(), Survival(metaspace(), "text", keep=False)
    examples = [Example(f"own/train/{n}", "Who?", (), ("half", "a → b", "Tom", "méyl")[n % 4]) for n in range(40)]
    kept: list[Example] = []
    for batch in (examples[:25], examples[25:]):
        pairs = list(zip(batch, tokens.tokenise(batch, tokenizer, Data(question_end="")), strict=True))
        kept += [example for example, _ in survival.sift(pairs)]
    slow = []
    for example in examples:
        ids = tokenizer(example.answer, add_special_tokens=False)["input_ids"]
        if grade("text", tokenizer.decode(ids, skip_special_tokens=True), example.answer):
            slow.append(example)
    assert kept == slow and len(kept) == 20 and survival.counts == {LOST: 20}


def test_an_answer_ends_where_its_end_token_stands() -> None:
    """Decoding passes over special tokens, and generating stops at the end: `no none yes` would be given as `no`."""
    example = Example("x", "Who?", (), "no none yes")
    tokenizer = word_level("none")
    [segments] = tokens.tokenise([example], tokenizer, Data(question_end=""))
    survival = Survival(tokenizer, "text", keep=False)
    assert survival.sift([(example, segments)]) == []
    with pytest.raises(DataError, match="x: 'no none yes' comes back as 'no'"):
        survival.require_few("own/train")


@pytest.mark.parametrize(
    ("failed", "rows", "refused"),
    [(0, 5, False), (3, 300, False), (3, 4, False), (4, 300, True), (4, 400, False), (1, 1, True), (0, 0, False),
     (75, 7473, True), (74, 7473, False)],
)  # fmt: skip
def test_a_few_may_fail(failed: int, rows: int, refused: bool) -> None:
    assert Failures(rows, failed).too_many == refused


# ---------------------------------------------------------------- rows of a file


def rows(answers: list[str], steps: list[str] | None = None, question: str = "Who has the cup?") -> str:
    made = [{"question": f"{n} {question}", "answer": answer} | ({"steps": steps} if steps else {})
            for n, answer in enumerate(answers)]  # fmt: skip
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made)


@pytest.fixture
def config(tmp_path: Path) -> Data:
    file = str(tmp_path / "rows.jsonl")
    return Data(own=Own(train=file, validation=file, test=file), cache=str(tmp_path / "cache"))


def put(config: Data, text: str) -> None:
    assert config.own.train is not None
    Path(config.own.train).write_text(text, encoding="utf-8")


def test_rows_whose_answers_do_not_survive_are_left_out_and_counted(config: Data) -> None:
    put(config, rows(["half", "none"] * 20 + ["→", "a → b"]))
    for role in ("train", "validation"):
        split = encode(Request(parse_source(f"own/{role}", config), role), config, metaspace())  # type: ignore[arg-type]
        assert (len(split), split.report.dropped, split.report.noted) == (40, {LOST: 2}, {})
        assert {split[row].gold for row in range(40)} == {"half", "none"}
        assert str(split.report) == f"own/{role}: 40 of 42 rows, 2 left out: {LOST}"
    assert len(encode(Request(parse_source("own/train", config), "train"), config, byte_level())) == 42


def test_those_of_a_test_set_are_scored_and_counted(config: Data) -> None:
    put(config, rows(["half", "none"] * 20 + ["→", "a → b"]))
    split = encode(Request(parse_source("own/test", config), "test"), config, metaspace())
    assert (len(split), split.report.dropped, split.report.noted) == (42, {}, {LOST: 2})
    assert str(split.report) == f"own/test: 42 of 42 rows, 2 {LOST}"
    first = encode(Request(parse_source("own/test", config), "test", rows=41), config, metaspace())
    assert (len(first), first.report.noted) == (41, {LOST: 1}), "rows that are not read are not counted"


@pytest.mark.parametrize("role", ["train", "validation", "test"])
def test_more_than_a_few_are_refused_with_examples(role: str, config: Data) -> None:
    put(config, rows(["half"] * 50 + ["a → b", "a ↔ b"] * 2 + ["a → b"]))
    with pytest.raises(DataError) as caught:
        encode(Request(parse_source(f"own/{role}", config), role), config, metaspace())  # type: ignore[arg-type]
    text = str(caught.value)
    assert text.startswith(f"own/{role}: 5 of 55 right answers could never be given: own/{role}/50: 'a → b' comes back")
    assert "own/" + role + "/51: 'a ↔ b' comes back as 'a  b'; and 3 more" in text
    assert "so that the rule 'text' takes it for the same, and at most 3 rows, or 1% of them may fail" in text
    assert "a byte-level one has all" in text and "data.own.answer_rule" in text
    assert len(encode(Request(parse_source(f"own/{role}", config), role), config, byte_level())) == 55  # type: ignore[arg-type]


def test_training_rows_that_their_rule_cannot_read_are_left_out(config: Data) -> None:
    put(config, rows(["7"] * 20 + ["seven"]))
    own = replace(config, own=replace(config.own, answer_rule="integer"))
    report = encode(Request(parse_source("own/train", own), "train"), own, byte_level()).report
    assert report.dropped == {"answers that the rule 'integer' cannot read": 1}
    put(config, rows(["7"] * 20 + ["seven"] * 4))
    with pytest.raises(DataError, match="own/train/20: the rule cannot read 'seven'; and 3 more") as caught:
        encode(Request(parse_source("own/train", own), "train"), own, byte_level())
    assert "Write answers that the rule can read (docs/answers.md" in str(caught.value)
    assert "tokenizer" not in str(caught.value), "another one would not help"


@pytest.mark.parametrize(
    "name", ["metaspace", "metaspace, undeclared", "metaspace, leaves out", "unigram", "word level"]
)
def test_questions_and_steps_with_unknown_tokens_are_counted(name: str, config: Data) -> None:
    put(config, rows(["half"] * 5, ["half → none", "none", "→"]) + rows(["half"], question="Who ↔ has it?"))
    if name == "metaspace, leaves out":  # and a step of which nothing is left is refused
        put(config, rows(["half"] * 5, ["half → none", "none", "a →"]) + rows(["half"], question="Who ↔ has it?"))
    report = encode(Request(parse_source("own/train", config), "train"), config, TOKENIZERS[name]()).report
    questions = 6 if name == "word level" else 1
    assert report.noted == {"questions with unknown tokens": questions, "steps with unknown tokens": 10}
    assert str(report).endswith(f", {questions} questions with unknown tokens, 10 steps with unknown tokens")


def test_a_tokenizer_that_knows_all_has_nothing_to_count() -> None:
    example = Example("x", "Who → has ½ é 猫 🐈?\u00a0\u200b", ("a → b",), "c")
    [segments] = tokens.tokenise([example], byte_level(), Data())
    assert Unknown(byte_level()).count([(example, segments)]) == Counter()
    gpt2 = byte_level()
    gpt2.unk_token = "<end>"  # as GPT-2's wrapper has it
    segments[0].insert(0, 0)  # and a question that begins with it
    assert Unknown(gpt2).count([(example, segments)]) == Counter()
