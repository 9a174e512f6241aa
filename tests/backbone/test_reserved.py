"""Memory tokens in the places of spare ones: no matrix changes its shape, and no text changes its tokens."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from rim.backbone.load import load_backbone, load_tokenizer
from rim.backbone.reserved import take_reserved
from rim.backbone.tokenizer import Slots, TokenizerError, add_memory_tokens, block_tokens, build_tokenizer
from rim.base.vocabulary import taken
from rim.data import tokens
from rim.data.errors import DataError
from rim.data.example import Example
from rim.settings import Backbone as Settings
from rim.settings import Data
from tests.families import family_model
from tests.models import TEXTS

NAMED = [f"<|reserved_special_token_{number}|>" for number in range(4)]
SPARE = ["<repo>", "<file_sep>", "<role>"]
SHARED = Slots(source="reserved")
PER_SLOT = Slots("per_slot", 2, source="reserved")


def instruct(*special: str) -> PreTrainedTokenizerFast:
    tokenizer = build_tokenizer(TEXTS, 280)
    tokenizer.add_tokens(list(special), special_tokens=True)
    tokenizer.chat_template = "{% for m in messages %}<role>{{ m.content }}{% endfor %}"
    return tokenizer


@pytest.mark.parametrize(
    ("special", "beyond", "slots", "former"),
    [
        ([*SPARE, *NAMED], 5, SHARED, NAMED[:3]),
        ([*SPARE, *NAMED[:2]], 1, SHARED, NAMED[:2]),
        ([*SPARE, *NAMED[:2]], 0, SHARED, [*NAMED[:2], "<repo>"]),
        ([*SPARE], 3, SHARED, []),
        ([*SPARE, *NAMED], 0, PER_SLOT, [*NAMED, "<repo>"]),
    ],
)
def test_what_is_called_reserved_goes_first(special: list[str], beyond: int, slots: Slots, former: list[str]) -> None:
    """Then rows that no token has, then special tokens; never one that ends a text or stands in the chat template."""
    tokenizer = instruct(*special)
    before = tokenizer.get_vocab()
    found = take_reserved(tokenizer, slots.vocabulary(), len(before) + beyond)
    assert list(taken(found).values()) == former
    memory = add_memory_tokens(found, slots)
    assert max(memory.memory_tokens) < len(before) + beyond
    assert [before[old] for old in former] == [found.get_vocab()[new] for new in taken(found)]
    names = {old: new for new, old in taken(found).items()}
    kept = {name: id for name, id in found.get_vocab().items() if id < len(before)}
    assert kept == {names.get(name, name): id for name, id in before.items()}
    assert [found(text)["input_ids"] for text in TEXTS] == [tokenizer(text)["input_ids"] for text in TEXTS]
    assert found.eos_token_id == tokenizer.eos_token_id and found.chat_template == tokenizer.chat_template


def test_too_few_are_refused_with_their_names() -> None:
    message = (
        r"memory.token_source=reserved needs 3 tokens that the vocabulary has spare, and the tokenizer '' has 2 tokens "
        r"\(<repo>, <file_sep>\) and 0 rows beyond. Set memory.token_source=new"
    )
    tokenizer = instruct(*SPARE)
    with pytest.raises(TokenizerError, match=message):
        take_reserved(tokenizer, SHARED.vocabulary(), len(tokenizer))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft asks for it
@pytest.mark.parametrize("training", ["full", "lora"])
def test_the_model_keeps_its_shape_and_its_other_rows(tmp_path: Path, training: str) -> None:
    tokenizer = instruct(*SPARE, *NAMED)
    model = family_model("llama", vocab_size=len(tokenizer), tie_word_embeddings=False)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    settings = Settings(name=str(tmp_path), training=training)
    ours = load_tokenizer(settings, tuple, SHARED)
    backbone = load_backbone(settings, ours, seed=0)
    places = [len(tokenizer) - 4 + number for number in range(3)]
    assert list(backbone.special.memory_tokens) == places
    ours.save_pretrained(tmp_path / "kept")
    again = AutoTokenizer.from_pretrained(tmp_path / "kept")
    assert taken(again) == taken(ours) == dict(zip(["<|b|>", "<|m|>", "<|/b|>"], NAMED, strict=False))
    assert block_tokens(again, SHARED).rows == ((places[0], places[1], places[1], places[2]),)
    embed, before = backbone.embed(torch.arange(len(tokenizer))), model.get_input_embeddings().weight
    others = [row for row in range(len(tokenizer)) if row not in places]
    assert backbone.causal.get_input_embeddings().weight.shape == before.shape
    assert torch.equal(embed[others], before[others]) and not torch.equal(embed[places], before[places])
    spread = before[others].std(0)
    assert ((embed[places] - before[others].mean(0)).abs() < 5 * spread).all(), "near the mean of the others"


def test_a_text_that_spells_a_taken_token_is_refused() -> None:
    tokenizer = instruct(*SPARE, *NAMED)
    found = take_reserved(tokenizer, SHARED.vocabulary(), len(tokenizer))
    row = Example("own/train/7", "What is this?", (f"a {NAMED[1]} b",), "x")
    with pytest.raises(DataError, match=r"own/train/7 spells <\|reserved_special_token_1\|>, whose place .* <\|m\|>"):
        tokens.tokenise([row], found, Data())
    tokens.tokenise([row], tokenizer, Data())
