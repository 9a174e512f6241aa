"""Texts to token ids, and what identifies a tokenizer."""

import json
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

from rim.base.vocabulary import taken
from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.form import Form, encode
from rim.settings import Data


def tokenise(examples: Sequence[Example], tokenizer: Any, config: Data) -> list[list[list[int]]]:
    """For each example the token ids of its question, its answer and its steps, in this order.

    A question has the form that the settings name (`form.py`), and never ends in the tokenizer's end-of-text token.
    Steps and answers are bare. A text that spells a special token becomes ordinary tokens.

    Raises:
        DataError: the tokenizer makes nothing of a question or a step; of an answer it may (`survival.py`). A text
            spells a token whose place a memory token has taken. Or as `Form.of`.
    """
    _require_unspelt(examples, taken(tokenizer))
    questions = Form.of(config, tokenizer).ids([example.question for example in examples], tokenizer)
    texts = list({text for example in examples for text in (example.answer, *example.steps)})  # short ones recur often
    bare = dict(zip(texts, encode(texts, tokenizer), strict=True))
    found = []
    for example, question in zip(examples, questions, strict=True):
        segments = [question, bare[example.answer], *(bare[step] for step in example.steps)]
        if not (segments[0] and all(segments[2:])):
            _refuse(example, segments)
        found.append(segments)
    return found


def tokenise_question(question: str, tokenizer: Any, config: Data) -> list[int]:
    """Token ids of a question that stands alone, as `tokenise` gives them; they may be none."""
    return Form.of(config, tokenizer).ids([question], tokenizer)[0]


def fingerprint(tokenizer: Any) -> str:
    """sha256 of everything that decides about ids: vocabulary, added tokens, rules and special tokens."""
    if getattr(tokenizer, "is_fast", False):
        state = tokenizer.backend_tokenizer.to_str()
    else:
        state = json.dumps({"class": type(tokenizer).__name__, "vocabulary": tokenizer.get_vocab()})
    return _fingerprint(state, tuple((name, str(token)) for name, token in tokenizer.special_tokens_map.items()))


@lru_cache(maxsize=4)
def _fingerprint(state: str, special: tuple[tuple[str, str], ...]) -> str:
    """Every split of a run asks for it, and sorting a vocabulary of 150,000 entries takes seconds."""
    parts = json.loads(state)
    parts.pop("padding", None)  # these two follow the last call
    parts.pop("truncation", None)
    parts["special"] = dict(special)
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _require_unspelt(examples: Sequence[Example], former: dict[str, str]) -> None:
    """Refuse texts with a token that the model knows and the tokenizer no longer has."""
    for example in examples if former else ():
        text = "\n".join((example.question, *example.steps, example.answer))
        for memory, token in former.items():
            if token in text:
                raise DataError(
                    f"{example.id} spells {token}, whose place the memory token {memory} has taken "
                    "(memory.token_source=reserved). Set memory.token_source=new, or mend the row"
                )


def _refuse(example: Example, segments: list[list[int]]) -> None:
    name = f"step {segments[2:].index([]) + 1}" if segments[0] else "the question"
    raise DataError(
        f"the tokenizer makes no tokens of {name} of {example.id}: every text must become at least one token. "
        f"Use a tokenizer that covers its characters (a byte-level one covers all), or mend the row"
    )
