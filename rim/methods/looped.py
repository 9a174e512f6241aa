"""Looped memory: the blocks pass R times through the same weights, as in LOTUS (arXiv 2606.31779).

Each loop reads embedding plus the last loop's output, against the question's keys and values, which are computed once;
readouts follow the last loop. `method.loops` = 1 is RiM. LOTUS' loss on steps is `method.parallel_steps` = 0.05.
"""

from functools import partial

from transformers import PreTrainedTokenizerBase

from rim.backbone.backbone import Backbone
from rim.backbone.reading import Reader, read_looped
from rim.methods.blocks import Blocks
from rim.settings import Config


class Looped(Blocks):
    """R passes before an answer.

    Of the controls only `removed` applies where R > 1: `swapped` and `noise` read the token before an answer again,
    which here was fed the last loop's state on top of its embedding. Without that state the answers change whatever
    the edit was; with it they would keep what the edit is to take away.
    """

    def __init__(self, config: Config, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__(config, tokenizer)
        if config.method.loops > 1:
            self.controls = ("removed",)

    def reader(self, backbone: Backbone) -> Reader:
        """In loops over the blocks."""
        return partial(read_looped, loops=self.config.method.loops)
