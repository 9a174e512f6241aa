"""What the settings of a tokenizer say of tokens that memory tokens have taken the place of."""

from typing import Any

TAKEN = "memory_tokens_for"
"""Key of the tokenizer's settings: the former name of each such memory token, by the name it has now."""


def taken(tokenizer: Any) -> dict[str, str]:
    """The former name of each memory token that stands in the place of another token."""
    return dict(tokenizer.init_kwargs.get(TAKEN) or {})
