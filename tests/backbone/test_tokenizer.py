"""The memory tokens are there once and only where we put them; text survives the round trip."""

import re
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from rim.backbone.tokenizer import (
    CLOSE,
    END,
    MEMORY,
    OPEN,
    PAD,
    SHARED,
    Slots,
    TokenizerError,
    add_memory_tokens,
    block_tokens,
    build_tokenizer,
    token_text,
)
from rim.data.example import Example
from rim.data.tokens import tokenise
from rim.settings import Config, Data
from tests.models import TEXTS


def test_memory_tokens_are_added_once_at_the_end() -> None:
    tokenizer = build_tokenizer(TEXTS, 280)
    before = len(tokenizer)
    special = add_memory_tokens(tokenizer)
    assert add_memory_tokens(tokenizer) == special
    assert special.memory_tokens == (before, before + 1, before + 2) and len(tokenizer) == before + 3
    assert tokenizer.convert_ids_to_tokens(list(special.memory_tokens)) == [OPEN, MEMORY, CLOSE]
    assert (special.end, special.pad) == (tokenizer.convert_tokens_to_ids(END), tokenizer.convert_tokens_to_ids(PAD))


def test_without_a_pad_token_the_end_pads() -> None:
    tokenizer = build_tokenizer(TEXTS, 280)
    tokenizer.pad_token = None
    special = add_memory_tokens(tokenizer)
    assert special.pad == special.end == tokenizer.eos_token_id


def test_a_tokenizer_without_end_token_is_refused() -> None:
    tokenizer = build_tokenizer(TEXTS, 280)
    tokenizer.eos_token = None
    tokenizer.name_or_path = "some/model"
    with pytest.raises(
        TokenizerError, match="'some/model' has no end token, so an answer could not end: set `eos_token`"
    ):
        add_memory_tokens(tokenizer)


OWN = {
    "per_slot": Slots("per_slot", 3, 2),
    "per_slot_and_block": Slots("per_slot_and_block", 3, 2),
}
NAMES = {
    "per_slot": ["<|m1|>", "<|m2|>", "<|m3|>"],
    "per_slot_and_block": ["<|m1.1|>", "<|m1.2|>", "<|m1.3|>", "<|m2.1|>", "<|m2.2|>", "<|m2.3|>"],
}


def test_shared_tokens_leave_the_vocabulary_as_it_has_always_been() -> None:
    tokenizer, literal = build_tokenizer(TEXTS, 280), build_tokenizer(TEXTS, 280)
    special = add_memory_tokens(tokenizer, Slots.of(Config()))
    literal.add_tokens(["<|b|>", "<|m|>", "<|/b|>"], special_tokens=True)
    assert tokenizer.backend_tokenizer.to_str() == literal.backend_tokenizer.to_str()
    assert tokenizer.get_vocab() == literal.get_vocab() and special.own == ()
    block = block_tokens(tokenizer, SHARED)
    assert block(1) == block(99) == (special.open, special.memory, special.memory, special.close)


@pytest.mark.parametrize("kind", OWN)
def test_tokens_of_slots_follow_the_three_in_order(kind: str) -> None:
    tokenizer = build_tokenizer(TEXTS, 280)
    before = len(tokenizer)
    special = add_memory_tokens(tokenizer, OWN[kind])
    names = ["<|b|>", "<|m|>", "<|/b|>", *NAMES[kind]]
    assert tokenizer.convert_ids_to_tokens(range(before, len(tokenizer))) == names
    assert special.memory_tokens == tuple(range(before, before + len(names)))
    assert add_memory_tokens(tokenizer, OWN[kind]) == add_memory_tokens(tokenizer) == special
    assert len(tokenizer) == before + len(names)


@pytest.mark.parametrize("kind", OWN)
def test_a_block_is_made_of_its_tokens_between_the_marks(kind: str) -> None:
    tokenizer = build_tokenizer(TEXTS, 280)
    add_memory_tokens(tokenizer, OWN[kind])
    block = block_tokens(tokenizer, OWN[kind])
    second = NAMES[kind][-3:]
    assert tokenizer.convert_ids_to_tokens(block(1)) == ["<|b|>", *NAMES[kind][:3], "<|/b|>"]
    assert tokenizer.convert_ids_to_tokens(block(2)) == ["<|b|>", *second, "<|/b|>"]
    if kind == "per_slot":
        assert block(50) == block(1)
        return
    message = (
        "block 3 has no memory tokens of its own: with memory.tokens=per_slot_and_block there are those of "
        "max(memory.blocks, data.max_steps) = 2 blocks. Read with at most as many"
    )
    with pytest.raises(TokenizerError, match=re.escape(message)):
        block(3)


@pytest.mark.parametrize("kind", OWN)
def test_a_saved_tokenizer_knows_its_tokens(kind: str, tmp_path: Path) -> None:
    tokenizer = build_tokenizer(TEXTS, 280)
    special = add_memory_tokens(tokenizer, OWN[kind])
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert add_memory_tokens(again) == special and again.get_vocab() == tokenizer.get_vocab()
    assert block_tokens(again, OWN[kind]).rows == block_tokens(tokenizer, OWN[kind]).rows
    assert block_tokens(again, SHARED)(1)[1:3] == (special.memory,) * 2, "the shared one is always there"


def test_as_many_blocks_as_can_be_trained_have_tokens() -> None:
    config = Config()
    config.memory.tokens, config.memory.tokens_per_block = "per_slot_and_block", 1
    for blocks, steps, wanted in ((8, 13, 13), (20, 13, 20)):
        config.memory.blocks, config.data.max_steps = blocks, steps
        assert Slots.of(config).names() == [[f"<|m{block}.1|>"] for block in range(1, wanted + 1)]


@pytest.mark.parametrize(
    ("has", "wanted", "message"),
    [
        (
            SHARED,
            Slots("per_slot", 2),
            "memory.tokens=per_slot needs a token for each of 2 slots (memory.tokens_per_block), and the tokenizer "
            "lacks <|m1|> to <|m2|>. A vocabulary is fixed when the first run of its weights starts, so that run needs "
            "the same memory.tokens, and no fewer slots and blocks; or set memory.tokens=shared",
        ),
        (
            Slots("per_slot", 2),
            Slots("per_slot", 3),
            "each of 3 slots (memory.tokens_per_block), and the tokenizer lacks <|m3|>. A vocabulary",
        ),
        (
            Slots("per_slot_and_block", 2, 8),
            Slots("per_slot_and_block", 2, 16),
            "each of 2 slots (memory.tokens_per_block) in 16 blocks (the larger of memory.blocks and data.max_steps), "
            "and the tokenizer lacks <|m9.1|> to <|m16.2|>; with 8 blocks at most it would do. A vocabulary",
        ),
        (
            Slots("per_slot", 2),
            Slots("per_slot_and_block", 2, 2),
            "and the tokenizer lacks <|m1.1|> to <|m2.2|>. A vocabulary",
        ),
    ],
)
def test_a_tokenizer_of_other_settings_is_refused(has: Slots, wanted: Slots, message: str) -> None:
    tokenizer = build_tokenizer(TEXTS, 280)
    add_memory_tokens(tokenizer, has)
    with pytest.raises(TokenizerError, match=re.escape(message)):
        block_tokens(tokenizer, wanted)


@pytest.mark.parametrize("spelt", [OPEN, MEMORY, CLOSE, END, PAD, "<|m1|>", "<|m2.3|>"])
def test_text_of_a_user_that_spells_a_special_token_stays_text(spelt: str) -> None:
    tokenizer = build_tokenizer(TEXTS, 280)
    add_memory_tokens(tokenizer, OWN["per_slot"])
    special = add_memory_tokens(tokenizer, OWN["per_slot_and_block"])
    text = f"Who has {spelt}?"
    (question, answer, step), *_ = tokenise([Example("a/b/0", text, (f"<<{spelt}>>",), spelt)], tokenizer, Data())
    assert not {*special.memory_tokens, special.end, special.pad} & {*question, *answer, *step}
    decoded = [tokenizer.decode(ids, skip_special_tokens=True) for ids in (question, answer, step)]
    assert decoded == [f"{text}\n", spelt, f"<<{spelt}>>"]


@pytest.mark.parametrize(
    "text",
    [
        "Ann has 3 cups.",
        "  two  spaces\tand\n\nlines ",
        "naïve €5 😀 中文 \u0000",
        "<<12.50*4=50>>",
        "3 , 4 .",
        "'s n't",
    ],
)
def test_every_text_survives_the_round_trip(text: str) -> None:
    tokenizer = build_tokenizer(TEXTS, 280)
    add_memory_tokens(tokenizer)
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_digits_are_single_even_where_numbers_repeat() -> None:
    tokenizer = build_tokenizer(["2024 2024 2024 <<2024+1=2025>>"] * 50, 400)
    tokens = [tokenizer.decode([token]) for token in tokenizer("in 2024: <<2024+1=2025>>")["input_ids"]]
    digits = [token for token in tokens if any(letter.isdigit() for letter in token)]
    assert digits == list("2024202412025")


def test_the_same_texts_give_the_same_tokenizer() -> None:
    one, other = (build_tokenizer(iter(TEXTS), 300).backend_tokenizer.to_str() for _ in range(2))
    assert one == other


def test_a_vocabulary_holds_at_most_what_was_asked_and_at_least_the_bytes() -> None:
    assert len(build_tokenizer(TEXTS * 20, 258)) == 258
    assert len(build_tokenizer(TEXTS * 20, 300)) <= 300
    with pytest.raises(TokenizerError, match="vocabulary is 257, but 256 bytes and 2 special tokens need at least 258"):
        build_tokenizer(TEXTS, 257)


def test_token_text_shows_memory_tokens() -> None:
    tokenizer = build_tokenizer(TEXTS, 280)
    special = add_memory_tokens(tokenizer)
    assert [token_text(tokenizer)(token) for token in special.memory_tokens] == [OPEN, MEMORY, CLOSE]
