"""Methods by name, imported when asked for."""

from importlib import import_module

from transformers import PreTrainedTokenizerBase

from rim.base.errors import UserError
from rim.data.example import MARK
from rim.methods.method import Method
from rim.settings import Config

METHODS = {
    "memory_blocks": "rim.methods.memory_blocks:MemoryBlocks",
    "looped": "rim.methods.looped:Looped",
    "direct": "rim.methods.direct:Direct",
    "repeat": "rim.methods.repeat:Repeat",
    "cot": "rim.methods.cot:ChainOfThought",
    "pause": "rim.methods.pause:Pause",
    "pause_curriculum": "rim.methods.pause_curriculum:PauseCurriculum",
    "icot": "rim.methods.icot:Internalised",
    "coconut": "rim.methods.coconut:Coconut",
    "codi": "rim.methods.codi:Codi",
}


class MethodError(UserError):
    """A method that does not exist, or that cannot be used with this tokenizer."""


def build_method(config: Config, tokenizer: PreTrainedTokenizerBase) -> Method:
    """The method of a configuration.

    Raises:
        MethodError: the name is unknown (lists the known ones), or chains are read whose mark cannot be written.
    """
    name = config.method.name
    if name not in METHODS:
        raise MethodError(f"method.name '{name}' is not a method; known methods: {', '.join(METHODS)}")
    module, _, attribute = METHODS[name].partition(":")
    method: Method = getattr(import_module(module), attribute)(config, tokenizer)
    if any(map(method.writes_chain, (None, *config.stages))):
        _require_mark(method, tokenizer)
    return method


def _require_mark(method: Method, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer from whose tokens the mark before an answer does not come back: no answer would be found."""
    written = tokenizer.decode(list(method.answer_mark), skip_special_tokens=True)
    if MARK not in written:
        raise MethodError(
            f"the answer of a chain of thought is what follows '{MARK}', and this tokenizer's tokens give it back as "
            f"{written!r}: no answer would be found. Choose a backbone whose tokenizer has these characters (a "
            "byte-level one has all), or a method that writes no chain (memory_blocks, direct, pause)"
        )
