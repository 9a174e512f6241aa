"""The form in which a question is read: bare, or in the model's own chat template; and the token that begins it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rim.base.chat import Frame, frame_of
from rim.data.errors import DataError
from rim.settings import Data


@dataclass(frozen=True)
class Form:
    """What stands around a question, where its special tokens are read as such, and which tokens begin it.

    `begin` are ids that stand first, once; in the plain form None: those that the tokenizer's family puts there.
    """

    frame: Frame
    chat: bool
    begin: tuple[int, ...] | None

    @classmethod
    def of(cls, config: Data, tokenizer: Any) -> "Form":
        """The form that the settings name.

        Raises:
            ChatError: the tokenizer's chat template cannot be used.
            DataError: a beginning token is asked for, and the tokenizer has none.
        """
        chat = config.template == "chat"
        frame = frame_of(tokenizer, config.system) if chat else Frame("", config.question_end, trims=False)
        return cls(frame, chat, _begin(config, tokenizer))

    @property
    def key(self) -> dict[str, Any]:
        """What encoded rows depend on, besides the settings that every form has; nothing in the form of old runs."""
        return asdict(self) if self.chat or self.begin is not None else {}

    def text(self, question: str) -> str:
        """The question with what stands around it."""
        return self.frame.before + (question.strip() if self.frame.trims else question) + self.frame.after

    def ids(self, questions: Sequence[str], tokenizer: Any) -> list[list[int]]:
        """Token ids of questions. One that spells a special token has it as ordinary text."""
        found = self._chat(questions, tokenizer) if self.chat else self._plain(questions, tokenizer)
        begin = list(self.begin or ())
        return [ids if ids[: len(begin)] == begin else begin + ids for ids in found]

    def _plain(self, questions: Sequence[str], tokenizer: Any) -> list[list[int]]:
        found = encode([self.text(question) for question in questions], tokenizer, first=self.begin is None)
        return [without_end(ids, tokenizer) for ids in found] if self.begin is None else found

    def _chat(self, questions: Sequence[str], tokenizer: Any) -> list[list[int]]:
        special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
        found = encode([self.text(question) for question in questions], tokenizer, special=True)
        for row, question in enumerate(questions):
            if any(token in question for token in special):
                found[row] = self._apart(question, special, tokenizer)
        return found

    def _apart(self, question: str, special: Sequence[str], tokenizer: Any) -> list[int]:
        """The template's special tokens as such, and the text between them, with the question, as ordinary text."""
        before, after = self.frame.before, self.frame.after
        start = max((before.rfind(token) + len(token) for token in special if token in before), default=0)
        stop = min((after.find(token) for token in special if token in after), default=len(after))
        head, tail = encode([before[:start], after[stop:]], tokenizer, special=True)
        (middle,) = encode([self.text(question)[start : len(after[:stop]) - len(after) or None]], tokenizer)
        return head + middle + tail


def encode(texts: list[str], tokenizer: Any, *, first: bool = False, special: bool = False) -> list[list[int]]:
    """Token ids of texts; `first`: with the tokens that the family puts around a text, `special`: where a text spells
    a special token, it is one."""
    encoded = tokenizer(
        texts,
        add_special_tokens=first,
        split_special_tokens=not special,
        padding=False,
        truncation=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def without_end(ids: list[int], tokenizer: Any) -> list[int]:
    """The ids without an end token that the family puts after a text."""
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


def _begin(config: Data, tokenizer: Any) -> tuple[int, ...] | None:
    """See `Form.begin`: a chat template may have written the family's own first tokens already."""
    if config.bos == "auto":
        if config.template == "plain":
            return None
        return tuple(without_end(encode([""], tokenizer, first=True)[0], tokenizer))
    if config.bos == "never":
        return ()
    if tokenizer.bos_token_id is None:
        raise DataError(
            f"data.bos=always: the tokenizer '{tokenizer.name_or_path}' has no beginning token. Set data.bos=auto, or "
            "bos_token in its tokenizer_config.json"
        )
    return (tokenizer.bos_token_id,)
