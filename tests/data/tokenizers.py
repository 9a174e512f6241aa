"""Small tokenizers of kinds that lose something of a text, trained on a few words."""

from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TEXTS = ["Who has the cup? half none yes no 1 2 3 4 5 6 7 8 9 0 a b Ann Bob Tom\n", "It is 1,080.50 and 3/4. A B C D #"]
SPECIAL = ["<end>", "<unk>"]


def wrapped(made: Tokenizer, **more: Any) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<end>", **more)


def byte_level(prefix_space: bool = False, normalizer: Any = None, every_byte: bool = True) -> PreTrainedTokenizerFast:
    """Knows every byte, or those of its training text alone."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    made.decoder = decoders.ByteLevel()
    if normalizer is not None:
        made.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet() if every_byte else []
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    return wrapped(made)


def metaspace(unknown: bool = True, declared: bool = True) -> PreTrainedTokenizerFast:
    """A BPE of characters without byte fallback; `declared`: the wrapper knows the unknown token as well."""
    made = Tokenizer(models.BPE(unk_token="<unk>" if unknown else None, fuse_unk=True))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(vocab_size=200, special_tokens=SPECIAL if unknown else ["<end>"], show_progress=False),
    )
    return wrapped(made, **({"unk_token": "<unk>"} if unknown and declared else {}))


def unigram() -> PreTrainedTokenizerFast:
    """As sentencepiece makes them, without byte fallback."""
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made.train_from_iterator(
        TEXTS, trainers.UnigramTrainer(vocab_size=80, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    )
    return wrapped(made, unk_token="<unk>")


def word_piece() -> PreTrainedTokenizerFast:
    """Splits at punctuation and small letters only, as BERT's."""
    made = Tokenizer(models.WordPiece(unk_token="<unk>"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=SPECIAL, show_progress=False)
    )
    return wrapped(made, unk_token="<unk>")


def word_level(end: str = "<end>") -> PreTrainedTokenizerFast:
    """Whole words; `end` may be a word of the text."""
    words = {word: number for number, word in enumerate(["<end>", "<unk>", "half", "none", "yes", "no", "#", "####"])}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=end, unk_token="<unk>")


TOKENIZERS: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "byte level": byte_level,
    "byte level, a space before": lambda: byte_level(prefix_space=True),
    "byte level, small letters": lambda: byte_level(normalizer=normalizers.Lowercase()),
    "byte level, no accents": lambda: byte_level(
        normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])
    ),
    "byte level, some bytes": lambda: byte_level(every_byte=False),
    "metaspace": metaspace,
    "metaspace, undeclared": lambda: metaspace(declared=False),
    "metaspace, leaves out": lambda: metaspace(unknown=False),
    "unigram": unigram,
    "word piece": word_piece,
    "word level": word_level,
    "word level, ends in a word": lambda: word_level("none"),
}
