"""Texts to token ids, and what identifies a tokenizer."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from rim.data.errors import DataError
from rim.data.example import Example


def tokenise(examples: Sequence[Example], tokenizer: Any, question_end: str) -> list[list[list[int]]]:
    """For each example the token ids of its question, its answer and its steps, in this order.

    A question begins with the tokens that the tokenizer's family puts before a text (such as a beginning-of-text
    token), never ends in its end-of-text token, and carries `question_end`. Steps and answers are bare. A
    text that spells a special token becomes ordinary tokens.

    Raises:
        DataError: the tokenizer makes nothing of a question or a step; of an answer it may (`survival.py`).
    """
    questions = _ids([example.question + question_end for example in examples], tokenizer, True)
    texts = list({text for example in examples for text in (example.answer, *example.steps)})  # short ones recur often
    bare = dict(zip(texts, _ids(texts, tokenizer, False), strict=True))
    found = []
    for example, question in zip(examples, questions, strict=True):
        segments = [_without_end(question, tokenizer), bare[example.answer], *(bare[step] for step in example.steps)]
        if not (segments[0] and all(segments[2:])):
            _refuse(example, segments)
        found.append(segments)
    return found


def tokenise_question(question: str, tokenizer: Any, question_end: str) -> list[int]:
    """Token ids of a question that stands alone, as `tokenise` gives them; they may be none."""
    return _without_end(_ids([question + question_end], tokenizer, True)[0], tokenizer)


def fingerprint(tokenizer: Any) -> str:
    """sha256 of everything that decides about ids: vocabulary, added tokens, rules and special tokens."""
    if getattr(tokenizer, "is_fast", False):
        state = json.loads(tokenizer.backend_tokenizer.to_str())
        state.pop("padding", None)  # these two follow the last call
        state.pop("truncation", None)
    else:
        state = {"class": type(tokenizer).__name__, "vocabulary": tokenizer.get_vocab()}
    state["special"] = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _ids(texts: list[str], tokenizer: Any, special: bool) -> list[list[int]]:
    encoded = tokenizer(
        texts,
        add_special_tokens=special,
        split_special_tokens=True,
        padding=False,
        truncation=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def _without_end(ids: list[int], tokenizer: Any) -> list[int]:
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


def _refuse(example: Example, segments: list[list[int]]) -> None:
    name = f"step {segments[2:].index([]) + 1}" if segments[0] else "the question"
    raise DataError(
        f"the tokenizer makes no tokens of {name} of {example.id}: every text must become at least one token. "
        f"Use a tokenizer that covers its characters (a byte-level one covers all), or mend the row"
    )
