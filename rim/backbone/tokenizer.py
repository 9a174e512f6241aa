"""Tokenizers: the memory tokens, and a small byte-level BPE for models from scratch.

The vocabulary is fixed when a run starts: `load_tokenizer` adds what `memory.tokens` asks for, and from then on the
tokenizer itself says which memory tokens there are. Slots and blocks are counted from 1.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from rim.base.errors import UserError
from rim.settings import Config

OPEN, MEMORY, CLOSE = "<|b|>", "<|m|>", "<|/b|>"
OWN = re.compile(r"<\|m\d+(\.\d+)?\|>")
"""A memory token of one slot (`<|m2|>`), or of one slot of one block (`<|m3.2|>`: block 3)."""
END, PAD = "<|end|>", "<|pad|>"


class TokenizerError(UserError):
    """A tokenizer that RiM cannot work with."""


@dataclass(frozen=True)
class Slots:
    """Which memory token stands in each slot of each block (`memory.tokens`)."""

    tokens: Literal["shared", "per_slot", "per_slot_and_block"] = "shared"
    per_block: int = 2
    blocks: int = 1
    """As many blocks as can ever be trained."""
    source: Literal["new", "reserved"] = "new"
    """Where the tokens come from (`memory.token_source`)."""

    @classmethod
    def of(cls, config: Config) -> "Slots":
        """Those of a run, in grounding and refinement."""
        memory = config.memory
        blocks = max(memory.blocks, config.data.max_steps)
        return cls(memory.tokens, memory.tokens_per_block, blocks, memory.token_source)

    def names(self) -> list[list[str]]:
        """The tokens of the slots of each block; a single row where all blocks have the same."""
        slots = range(1, self.per_block + 1)
        if self.tokens == "shared":
            return [[MEMORY for _ in slots]]
        if self.tokens == "per_slot":
            return [[f"<|m{slot}|>" for slot in slots]]
        return [[f"<|m{block}.{slot}|>" for slot in slots] for block in range(1, self.blocks + 1)]

    def vocabulary(self) -> list[str]:
        """All tokens that RiM adds, the marks of a block among them, each once."""
        return [OPEN, MEMORY, CLOSE, *(name for row in self.names() for name in row if name != MEMORY)]


SHARED = Slots()
"""One token for all slots of all blocks."""


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the tokens that layouts are made of; `own` those of single slots, as many as the tokenizer has."""

    open: int
    memory: int
    close: int
    end: int
    pad: int
    own: tuple[int, ...] = ()

    @property
    def memory_tokens(self) -> tuple[int, ...]:
        """All tokens that RiM adds; never decoded, and under LoRA the only trained embedding rows."""
        return (self.open, self.memory, self.close, *self.own)


@dataclass(frozen=True)
class BlockTokens:
    """Token ids of block 1, 2, …: `<|b|>`, a memory token for each slot, `<|/b|>`."""

    rows: tuple[tuple[int, ...], ...]
    alike: bool
    """Whether all blocks are like the first one, so that there may be any number of them."""

    def __call__(self, block: int) -> tuple[int, ...]:
        """Ids of a block.

        Raises:
            TokenizerError: the block has no tokens of its own.
        """
        if not self.alike and block > len(self.rows):
            raise TokenizerError(
                f"block {block} has no memory tokens of its own: with memory.tokens=per_slot_and_block there are those "
                f"of max(memory.blocks, data.max_steps) = {len(self.rows)} blocks. Read with at most as many"
            )
        return self.rows[0 if self.alike else block - 1]


def add_memory_tokens(tokenizer: PreTrainedTokenizerBase, slots: Slots = SHARED) -> SpecialTokens:
    """Add the memory tokens that are missing, and return the ids of all there are; a second call changes nothing.

    Raises:
        TokenizerError: the tokenizer has no end token, so that no answer would ever end, or gives ids away twice.
    """
    if tokenizer.eos_token_id is None:
        raise TokenizerError(
            f"the tokenizer '{tokenizer.name_or_path}' has no end token, so an answer could not end: "
            "set `eos_token` in its tokenizer_config.json, or choose another backbone.name"
        )
    added = tokenizer.add_tokens(slots.vocabulary(), special_tokens=True)
    ids = tokenizer.get_added_vocab()
    own = tuple(sorted(id for name, id in ids.items() if OWN.fullmatch(name)))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    special = SpecialTokens(ids[OPEN], ids[MEMORY], ids[CLOSE], tokenizer.eos_token_id, pad, own)
    if added:
        _require_free(tokenizer, special)
    return special


def _require_free(tokenizer: PreTrainedTokenizerBase, special: SpecialTokens) -> None:
    """A vocabulary with gaps counts its entries and gives the next number to a new token, whoever has it."""
    others: dict[int, list[str]] = {id: [] for id in special.memory_tokens}
    for name, id in tokenizer.get_vocab().items():
        if id in others:
            others[id].append(name)
    if shared := [names for names in others.values() if len(names) > 1]:
        raise TokenizerError(
            f"the tokenizer '{tokenizer.name_or_path}' gives new tokens ids that others have: {shared[0]} are one. Its "
            "vocabulary has gaps; number its entries from 0 without any, or choose another backbone.name"
        )


def block_tokens(tokenizer: PreTrainedTokenizerBase, slots: Slots) -> BlockTokens:
    """The blocks that these slots make, from a tokenizer that has their tokens.

    Raises:
        TokenizerError: it lacks some: its vocabulary was fixed under other settings.
    """
    ids, names = tokenizer.get_added_vocab(), slots.names()
    missing = [name for row in names for name in row if name not in ids]
    if missing:
        raise TokenizerError(_lacking(slots, missing, sum(all(name in ids for name in row) for row in names)))
    rows = tuple((ids[OPEN], *(ids[name] for name in row), ids[CLOSE]) for row in names)
    return BlockTokens(rows, alike=slots.tokens != "per_slot_and_block")


def _lacking(slots: Slots, missing: list[str], whole: int) -> str:
    """What is missing, why, and the ways out; the tokenizer has tokens for `whole` blocks."""
    which = missing[0] if len(missing) == 1 else f"{missing[0]} to {missing[-1]}"
    needed = f"{slots.per_block} slots (memory.tokens_per_block)"
    if slots.tokens == "per_slot_and_block":
        needed += f" in {slots.blocks} blocks (the larger of memory.blocks and data.max_steps)"
    fewer = f"; with {whole} blocks at most it would do" if whole else ""
    return (
        f"memory.tokens={slots.tokens} needs a token for each of {needed}, and the tokenizer lacks {which}{fewer}. "
        "A vocabulary is fixed when the first run of its weights starts, so that run needs the same memory.tokens, and "
        "no fewer slots and blocks; or set memory.tokens=shared"
    )


def token_text(tokenizer: PreTrainedTokenizerBase) -> Callable[[int], str]:
    """Text of one token, for drawings."""
    return lambda token: str(tokenizer.decode([token]))


def build_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE with at most `vocabulary` entries besides the memory tokens; the same texts give the same one.

    Digits are single tokens, so that numbers are spelt alike in questions, steps and answers.

    Raises:
        TokenizerError: `vocabulary` is smaller than the 256 bytes and the two special tokens.
    """
    if vocabulary < 258:
        raise TokenizerError(
            f"backbone.scratch.vocabulary is {vocabulary}, but 256 bytes and 2 special tokens need at least 258"
        )
    tokenizer = Tokenizer(models.BPE())
    split: list = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD)
