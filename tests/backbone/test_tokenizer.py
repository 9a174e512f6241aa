"""The memory tokens are there once and only where we put them; text survives the round trip."""

import pytest

from rim.backbone.tokenizer import (
    CLOSE,
    END,
    MEMORY,
    OPEN,
    PAD,
    TokenizerError,
    add_memory_tokens,
    build_tokenizer,
    token_text,
)
from rim.data.example import Example
from rim.data.tokens import tokenise
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


@pytest.mark.parametrize("spelt", [OPEN, MEMORY, CLOSE, END, PAD])
def test_text_of_a_user_that_spells_a_special_token_stays_text(spelt: str) -> None:
    tokenizer = build_tokenizer(TEXTS, 280)
    special = add_memory_tokens(tokenizer)
    text = f"Who has {spelt}?"
    (question, answer, step), *_ = tokenise([Example("a/b/0", text, (f"<<{spelt}>>",), spelt)], tokenizer, "\n")
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
