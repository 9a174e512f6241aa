"""Memory tokens in the places of tokens that a vocabulary has spare, so that no matrix changes its shape.

Such a token is given the memory token's name, and from then on the tokenizer has it under that name alone. Which ones
were taken is kept in the tokenizer's own settings (`rim/base/vocabulary.py`).
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import AutoTokenizer
from transformers import PreTrainedTokenizerBase as Tokenizer

from rim.backbone.tokenizer import TokenizerError
from rim.base.vocabulary import TAKEN

RESERVED = re.compile(r"reserved|unused", re.IGNORECASE)
FILES = ("tokenizer.json", "tokenizer_config.json")


def take_reserved(tokenizer: Tokenizer, names: Sequence[str], rows: int) -> Tokenizer:
    """A tokenizer that has these memory tokens, or will have them within the rows of the model's matrix.

    Tokens that are called reserved or unused are taken first, then rows beyond the tokenizer (left to
    `add_memory_tokens`), then other special tokens that neither texts nor chats use. The embedding has `rows` rows.

    Raises:
        TokenizerError: there are not enough of them; says how many and which.
    """
    called, others = _spare(tokenizer)
    beyond = max(0, rows - 1 - max(tokenizer.get_vocab().values()))
    first = called[: len(names)]
    more = len(names) - len(first) - beyond
    chosen = first + others[: max(0, more)]
    if len(names) > len(chosen) + beyond:
        found = f"{len(called + others)} tokens ({', '.join(called + others) or 'none'}) and {beyond} rows beyond"
        raise TokenizerError(
            f"memory.token_source=reserved needs {len(names)} tokens that the vocabulary has spare, and the tokenizer "
            f"'{tokenizer.name_or_path}' has {found}. Set memory.token_source=new, or fewer memory tokens "
            "(memory.tokens=shared needs 3)"
        )
    return _renamed(tokenizer, dict(zip(names, chosen, strict=False)))


def _spare(tokenizer: Tokenizer) -> tuple[list[str], list[str]]:
    """Added tokens that are called reserved or unused, and other special ones that nothing uses; in order of ids."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    used = json.dumps([tokenizer.chat_template, state["post_processor"]], ensure_ascii=False)
    named = {str(token) for token in tokenizer.special_tokens_map.values()}
    added = [token for _, token in sorted(tokenizer.added_tokens_decoder.items())]
    free = [token for token in added if token.content not in named and token.content not in used]
    called = [token.content for token in free if RESERVED.search(token.content)]
    return called, [token.content for token in free if token.special and token.content not in called]


def _renamed(tokenizer: Tokenizer, former: dict[str, str]) -> Tokenizer:
    """The tokenizer with other names for some tokens, by way of its files: a loaded one cannot lose a name."""
    names = {old: new for new, old in former.items()}
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        for file in FILES:
            path = Path(folder) / file
            state = _replaced(json.loads(path.read_text(encoding="utf-8")), names)
            path.write_text(json.dumps(state), encoding="utf-8")
        renamed: Tokenizer = AutoTokenizer.from_pretrained(folder)
    renamed.name_or_path = tokenizer.name_or_path
    renamed.init_kwargs[TAKEN] = former
    return renamed


def _replaced(state: Any, names: dict[str, str]) -> Any:
    """The state with names replaced wherever they stand; a token that has one becomes a special one."""
    if isinstance(state, dict):
        made = {names.get(key, key): _replaced(value, names) for key, value in state.items()}
        return made | {"special": True} if state.get("content") in names else made
    if isinstance(state, list):
        return [_replaced(value, names) for value in state]
    return names.get(state, state) if isinstance(state, str) else state
