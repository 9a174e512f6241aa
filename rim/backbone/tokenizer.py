"""Tokenizers: the three memory tokens, and a small byte-level BPE for models from scratch."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from rim.errors import UserError

OPEN, MEMORY, CLOSE = "<|b|>", "<|m|>", "<|/b|>"
END, PAD = "<|end|>", "<|pad|>"


class TokenizerError(UserError):
    """A tokenizer that RiM cannot work with."""


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the tokens that layouts are made of: a block is `open`, M times `memory`, `close`."""

    open: int
    memory: int
    close: int
    end: int
    pad: int

    @property
    def memory_tokens(self) -> tuple[int, int, int]:
        """The three tokens that RiM adds; never decoded, and under LoRA the only trained embedding rows."""
        return (self.open, self.memory, self.close)


def add_memory_tokens(tokenizer: PreTrainedTokenizerBase) -> SpecialTokens:
    """Add the three memory tokens where they are missing, and return the ids; a second call changes nothing.

    Raises:
        TokenizerError: the tokenizer has no end token, so that no answer would ever end.
    """
    if tokenizer.eos_token_id is None:
        raise TokenizerError(
            f"the tokenizer '{tokenizer.name_or_path}' has no end token, so an answer could not end: "
            "set `eos_token` in its tokenizer_config.json, or choose another backbone.name"
        )
    tokenizer.add_tokens([OPEN, MEMORY, CLOSE], special_tokens=True)
    ids = tokenizer.get_vocab()
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return SpecialTokens(ids[OPEN], ids[MEMORY], ids[CLOSE], tokenizer.eos_token_id, pad)


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
