"""The chat template of an export: one user message becomes the token ids that the run reads.

Every piece is a string literal within one tag, because engines render with `trim_blocks` and `lstrip_blocks`, which eat
a line break after a tag. Blocks are written whether or not a generation prompt is asked for: an answer without them
would silently be another model's.
"""

import json
import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from rim.deployment.prompt import PromptText

ONE_QUESTION = "this model answers one question: send a single user message and no system message"
SPACE_FIRST = "this model reads a question more than once: it must not begin with a space"

TEMPLATE = """\
{%- if messages|length > 2 or messages[0]['role'] != 'user' or (messages|length == 2 and messages[1]['role'] != \
'assistant') %}{{- raise_exception(REFUSAL) }}{%- endif %}
{%- if messages[0]['content'] is string %}{%- set question = messages[0]['content'] %}\
{%- else %}{%- set question = messages[0]['content']|map(attribute='text')|join('') %}{%- endif %}
{%- for token in SPECIAL %}{%- if token in question %}\
{{- raise_exception('the question spells the special token ' ~ token) }}{%- endif %}{%- endfor %}
AGAIN\
TRIM\
BEGIN\
BEFORE\
READ
AFTER\
CUE\
{%- if messages|length == 2 %}{{- messages[1]['content'] ~ STOP }}{%- endif %}
"""
AGAIN = "{%- if question.lstrip() != question %}{{- raise_exception(SPACE) }}{%- endif %}\n"
"""Refuses what `PromptText.accepts` does not."""
BLOCKS = """\
{%- for block in TEXTS %}{%- if loop.index <= (blocks | default(COUNT)) %}{{- block }}{%- endif %}{%- endfor %}
"""


def chat_template(prompt: PromptText, tokenizer: PreTrainedTokenizerBase) -> str:
    """Jinja that renders what `prompt` says; `blocks` is a variable where their number is a choice."""
    blocks = _blocks(prompt)
    parts = {
        "REFUSAL": _literal(ONE_QUESTION),
        "SPECIAL": _literal(special_tokens(tokenizer)),
        "AGAIN": AGAIN.replace("SPACE", _literal(SPACE_FIRST)) if prompt.readings > 1 else "",
        "TRIM": "{%- set question = question|trim %}\n" if prompt.trims else "",
        "BEGIN": _written(prompt.begin),
        "BEFORE": blocks if prompt.blocks_first else "",
        "AFTER": "" if prompt.blocks_first else blocks,
        "READ": ("{{- question ~ " + _literal(prompt.end) + " }}") * prompt.readings,
        "CUE": _written(prompt.cue),
        "STOP": _literal(str(tokenizer.eos_token)),
    }
    return re.sub("|".join(parts), lambda found: parts[found[0]], TEMPLATE)


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Texts that a tokenizer reads as special tokens, the memory tokens among them."""
    added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return sorted({*tokenizer.all_special_tokens, *added})


def _blocks(prompt: PromptText) -> str:
    if not prompt.blocks:
        return ""
    if not prompt.choice:
        return _written("".join(prompt.blocks))
    parts = {"TEXTS": _literal(prompt.blocks), "COUNT": str(len(prompt.blocks))}
    return re.sub("|".join(parts), lambda found: parts[found[0]], BLOCKS)


def _written(text: str) -> str:
    """A line that writes a text; none where there is nothing to write."""
    return "{{- " + _literal(text) + " }}\n" if text else ""


def _literal(value: str | Sequence[str]) -> str:
    """A literal of Jinja, which reads strings and lists as JSON does."""
    return json.dumps(value, ensure_ascii=False)
