"""Ends of sentences in real cases, in tokenizers of both families; their parts make the question again."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from rim.backbone.tokenizer import build_tokenizer
from rim.methods.sentences import Sentences

QUESTIONS: dict[str, tuple[str, ...]] = {
    "stop and question mark": ("Ann has the toy.", " Ann and Tom swap.", " Who has it?\n"),
    "one sentence": ("Who has the toy?\n",),
    "a decimal": ("Milk costs $3.5 a litre.", " How much are 2.25 litres?\n"),
    "a decimal at the end": ("He has 3.", " She has 2.5.\n"),
    "no final stop": ("Ann has 3 cups.", " Find x\n"),
    "no stop at all": ("Ann and Tom swap\n",),
    "an exclamation": ("Stop!", " Why?\n"),
    "several marks": ("Really?!", " Well...", " Who?\n"),
    "straight quotes": ('He said "Go."', " She went.\n"),
    "curly quotes": ("He said “Go.”", " She asked ‘Why?’", " and left.\n"),
    "brackets": ("Ann waits (for Tom.)", " [He is late.]", " Who waits?\n"),
    "a stop before a bracket that opens": ("Ann waits.(Tom is late.)", " Who waits?\n"),
    "line breaks": ("Ann waits.", "\nTom is late.", "\n\nWho waits?\n"),
    "spaces": ("Ann waits.", "  Tom is late.", "\tWho waits? \n"),
    "no space after a stop": ("See www.rim.org/a.html for more.", " Who?\n"),
    "abbreviations end sentences": ("Mr.", " Smith lives in the U.S.", " Who?\n"),
    "a list": ("1.", " Ann 2.", " Tom\n"),
    "options": ("Who?", " (A) Ann (B) Tom\n"),
    "marks alone": ("?\n",),
    "nothing": ("\n",),
}
"""Sentences of a question; in the last one stands the text after every question."""
TEXTS = ["".join(sentences) for sentences in QUESTIONS.values()]


def crossing() -> PreTrainedTokenizerBase:
    """A byte-level BPE in which a stop and the line break after it are one token, as in Llama 3."""
    merges = [(".", "Ċ"), ("?", "Ċ"), (".", '"'), (".", ")"), ("ĠT", "om"), ("Ġ", "T"), ("o", "m")]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: n for n, token in enumerate([*letters, *("".join(merge) for merge in merges), "<e>"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[merge for merge in merges if merge[0] != "ĠT"]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<e>")


def sentencepiece() -> PreTrainedTokenizerBase:
    """Spaces are `▁`, a text begins with one, and what is no letter of the vocabulary is bytes such as `<0x0A>`."""
    pieces = ["<s>", "<e>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    letters = sorted({letter for text in TEXTS for letter in text} - {" ", "\n", "\t", "‘"})
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: n for n, piece in enumerate([*pieces, *letters])},
            merges=[],
            byte_fallback=True,
            unk_token="<unk>",
            fuse_unk=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="<e>", unk_token="<unk>")


TOKENIZERS = {
    "small": build_tokenizer([], 258),
    "trained": build_tokenizer(TEXTS * 5, 420),
    "crossing": crossing(),
    "sentencepiece": sentencepiece(),
}


def ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_real_cases(kind: str, question: str) -> None:
    """Tokens of a sentence are those of its text; a token that two share belongs to the first."""
    tokenizer, wanted = TOKENIZERS[kind], QUESTIONS[question]
    tokens = ids(tokenizer, "".join(wanted))
    ends = Sentences(tokenizer, "\n").ends(tokens)
    assert ends[-1] == len(tokens) and len(ends) == len(wanted)
    for end, expected in zip(ends, written(tokenizer, tokens, wanted), strict=True):
        assert end == expected, tokenizer.convert_ids_to_tokens(tokens[:end])


def written(tokenizer: PreTrainedTokenizerBase, tokens: list[int], sentences: tuple[str, ...]) -> list[int]:
    """The reference: for each sentence the fewest tokens whose bytes are at least those of the text up to its end."""
    found, text = [], ""
    for sentence in sentences:
        text += sentence
        sizes = [len(spelt(tokenizer, tokens[:count])) for count in range(len(tokens) + 1)]
        found.append(next(count for count, size in enumerate(sizes) if size >= len(text.encode())))
    return found


def spelt(tokenizer: PreTrainedTokenizerBase, tokens: list[int]) -> bytes:
    """Bytes of tokens, by a decoder of each family that is written out here."""
    entries = tokenizer.convert_ids_to_tokens(tokens)
    if "<unk>" not in tokenizer.get_vocab():
        letters = byte_of_letter()
        return bytes(letters[letter] for entry in entries for letter in entry)
    parts = [bytes([int(e[3:5], 16)]) if e.startswith("<0x") else e.replace("▁", " ").encode() for e in entries]
    return b"".join(parts)[1:]  # without the space that begins a text


def byte_of_letter() -> dict[str, int]:
    """GPT-2's letters: printable bytes as they are, the others from 256 on, in order."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + n): byte for n, byte in enumerate(others)}


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("end", ["", "\n", "\n\n", " Answer:", "\nQ. E. D.\n", "?"])
def test_the_text_after_every_question_belongs_to_the_last_sentence(kind: str, end: str) -> None:
    tokenizer = TOKENIZERS[kind]
    question = "Ann has the toy. Tom has 2.5 cups."
    tokens = ids(tokenizer, question + end)
    first = len(ids(tokenizer, "Ann has the toy."))
    assert Sentences(tokenizer, end).ends(tokens) == [first, len(tokens)]


def test_a_token_in_which_a_sentence_ends_belongs_to_it() -> None:
    tokenizer = TOKENIZERS["crossing"]
    tokens = ids(tokenizer, "A.\nB.\nC")
    assert tokenizer.convert_ids_to_tokens(tokens) == ["A", ".Ċ", "B", ".Ċ", "C"]
    assert Sentences(tokenizer).ends(tokens) == [2, 4, 5]
    assert Sentences(tokenizer).ends(tokens[:4]) == [2, 4]


def test_beginning_tokens_and_memory_tokens_end_no_sentence() -> None:
    tokenizer = sentencepiece()
    tokens = [tokenizer.bos_token_id, *ids(tokenizer, "Ann. Tom")]
    assert Sentences(tokenizer).ends(tokens) == [6, len(tokens)]
