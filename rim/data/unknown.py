"""Questions and steps of which a tokenizer knows a part only.

What it does not know becomes its unknown token or, where it has none, nothing at all: different texts become the same.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from unicodedata import category

from rim.data.survival import Pair

REPLACEMENT = "\ufffd"
"""What a byte-level tokenizer writes for bytes that make no character: it lacks some of those that do."""
QUESTIONS, STEPS = "questions with unknown tokens", "steps with unknown tokens"


class Unknown:
    """Counts such texts; for a tokenizer that knows everything it costs a look at each new character."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self._id = tokenizer, unknown_id(tokenizer)
        self._seen, self._left_out = set[str](), set[str]()

    def count(self, pairs: Sequence[Pair]) -> Counter[str]:
        """The number of questions, and of steps, that are not wholly known."""
        self._look_at(text for example, _ in pairs for text in (example.question, *example.steps))
        found = Counter[str]()
        if self._id is None and not self._left_out:
            return found
        for example, (question, _, *steps) in pairs:
            found[QUESTIONS] += self._is_unknown(example.question, question)
            found[STEPS] += sum(map(self._is_unknown, example.steps, steps))
        return +found

    def _is_unknown(self, text: str, ids: list[int]) -> bool:
        return self._id in ids or not self._left_out.isdisjoint(text)

    def _look_at(self, texts: Iterable[str]) -> None:
        """Learn which characters the tokenizer makes nothing of; accents, spaces and the like are left aside."""
        new = set().union(*texts) - self._seen
        self._seen |= new
        signs = [sign for sign in new if category(sign)[0] in "LNPS"]
        if signs:
            written = self._tokenizer.batch_decode(self._tokenizer(signs, add_special_tokens=False)["input_ids"])
            pairs = zip(signs, written, strict=True)
            self._left_out |= {sign for sign, text in pairs if not text.replace(REPLACEMENT, "").strip()}


def unknown_id(tokenizer: Any) -> int | None:
    """The token that stands for what a tokenizer does not know; None: it has none.

    What a fast tokenizer's own model says counts: GPT-2's wrapper names an unknown token that is never made.
    """
    if not getattr(tokenizer, "is_fast", False):
        return tokenizer.unk_token_id
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    if model.get("unk_id") is not None:
        return model["unk_id"]
    token = model.get("unk_token")
    return tokenizer.backend_tokenizer.token_to_id(token) if token else None
