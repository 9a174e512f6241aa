"""Chat templates of tokenizers: what one writes around a question, and how it ends the answer.

A template is rendered with the same date on every day, or the same run would have other tokens tomorrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rim.base.errors import UserError

DAY = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro %}{{ '' }}"
"""Before a template: the day that it is told in the place of today's. Llama 3's have this one where none is known."""
QUESTION, ANSWER = "[the question]", "[the answer]"
EDGE = "\t \n"
"""Space around a stand-in that no template writes by itself."""


class ChatError(UserError):
    """A chat template that is missing, broken, or does not write what it is given."""


@dataclass(frozen=True)
class Frame:
    """What a template writes before and after a question; `trims` where it takes outer space off the question."""

    before: str
    after: str
    trims: bool


def frame_of(tokenizer: Any, system: str | None, earlier: Sequence[tuple[str, str]] = (), wish: str = "") -> Frame:
    """What stands around the question of a conversation, up to where the model begins to write.

    Args:
        system: system message; None: what the template writes by itself.
        earlier: messages of the user and replies to them, in turn, before the question.
        wish: text after the question in its message.

    Raises:
        ChatError: there is no template, it fails, or it drops or repeats the question or the system message.
    """
    turns = [message for pair in earlier for message in zip(("user", "assistant"), pair, strict=True)]
    asked = ("user", EDGE + QUESTION + EDGE + wish)
    before, after = _split(_render(tokenizer, system, [*turns, asked]), QUESTION)
    if system and system.strip() not in before:
        raise ChatError(
            "data.system: the chat template of the tokenizer does not write a system message before the question. "
            "Leave data.system empty, and put the instruction into the questions"
        )
    trims = not (before.endswith(EDGE) and after.startswith(EDGE))
    return Frame(before.removesuffix(EDGE), after.removeprefix(EDGE), trims)


def end_of_turn(tokenizer: Any) -> str:
    """The special token that a template writes after an answer; the tokenizer's end token where it writes none.

    Raises:
        ChatError: there is no template, it fails, or it drops or repeats the answer.
    """
    _, after = _split(_render(tokenizer, None, [("user", QUESTION), ("assistant", ANSWER)]), ANSWER)
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    text = after.lstrip()
    found = [token for token in special if text.startswith(token)]
    return max(found, key=len, default=str(tokenizer.eos_token))


def _render(tokenizer: Any, system: str | None, turns: Sequence[tuple[str, str]]) -> str:
    """A conversation of (role, text) in words; after a message of the user it ends where the model begins to write."""
    if tokenizer.chat_template is None:
        raise ChatError(
            f"data.template=chat: the tokenizer '{tokenizer.name_or_path}' has no chat template, as base models have "
            "none. Set data.template=plain, or backbone.name to an instruct model"
        )
    said = [] if system is None else [("system", system)]
    messages = [{"role": role, "content": text} for role, text in (*said, *turns)]
    try:
        return str(
            tokenizer.apply_chat_template(
                messages,
                chat_template=DAY + tokenizer.get_chat_template(),
                tokenize=False,
                add_generation_prompt=turns[-1][0] == "user",
            )
        )
    except Exception as error:  # whatever a template raises, or its language does
        way = "Leave data.system empty, or mend" if system else "Mend"
        raise ChatError(
            f"data.template=chat: the chat template of the tokenizer '{tokenizer.name_or_path}' fails: "
            f"{type(error).__name__}: {error}. {way} its chat_template.jinja, or set data.template=plain"
        ) from error


def _split(text: str, part: str) -> tuple[str, str]:
    """What stands before and after a part that occurs once."""
    if text.count(part) != 1:
        raise ChatError(
            f"data.template=chat: the chat template writes a message {text.count(part)} times where it has to stand "
            "once, unchanged. Mend the tokenizer's chat_template.jinja, or set data.template=plain"
        )
    before, _, after = text.partition(part)
    return before, after
