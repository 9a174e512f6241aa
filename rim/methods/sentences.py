"""Where the sentences of a question end, found in its tokens.

A sentence ends after `.`, `!` or `?`, and quotes and brackets that close there, if a space or a line break or
nothing follows. So "3.5" ends none; an abbreviation ("Mr. Smith") does, since only a list would tell.

The text is that of the vocabulary's own entries, one after the other: a space is `Ġ` in a byte-level BPE and `▁` in
SentencePiece, a line break `Ċ` or `<0x0A>`, and a curly quote three letters of bytes. So nothing is decoded.
"""

import re
from bisect import bisect_left
from itertools import accumulate

from transformers import PreTrainedTokenizerBase

from rim.base.tree import Ids

_SPACE = r"(?:[\sĠĊĉč▁]|<0x0[9AD]>)"
_CLOSING = "|".join(map(re.escape, ('"', "'", ")", "]", "}", "”", "’", "»", "âĢĿ", "âĢĻ", "Â»")))
_END = re.compile(rf"[.!?]+(?:{_CLOSING})*(?={_SPACE})")
_LEADING, _TRAILING = re.compile(rf"^{_SPACE}+"), re.compile(rf"{_SPACE}+$")


class Sentences:
    """Counts tokens up to the ends of sentences.

    Args:
        tokenizer: of the questions.
        question_end: text after every question (`data.question_end`); it belongs to the last sentence.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, question_end: str = "") -> None:
        entries = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        self._entries = [entry or "" for entry in entries]
        end = tokenizer(question_end, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        self._question_end = _LEADING.sub("", self._text(end))

    def ends(self, question: Ids) -> list[int]:
        """Numbers of tokens up to the end of each sentence; the last one is that of the whole question.

        A token that a sentence ends within belongs to it.
        """
        text = _TRAILING.sub("", self._text(question).removesuffix(self._question_end))
        lengths = [*accumulate(len(self._entries[token]) for token in question)]
        found = {bisect_left(lengths, match.end()) + 1 for match in _END.finditer(text)}
        return sorted(found | {len(question)})

    def _text(self, ids: Ids) -> str:
        return "".join([self._entries[token] for token in ids])
