"""The step-removal curriculum of Coconut, whatever stands in the place of the steps (arXiv 2412.06769).

    chain      question  step 1  step 2  step 3  #### answer
    latent 1   question  <b> L L </b>  step 2  step 3  #### answer
    latent …   question  <b> L L L L L L </b>  #### answer            the mark is given

A stage replaces the first `replaced_steps` steps by `method.latents_per_step` positions each, `method.latents` at
most; the last stage replaces all steps, by `method.latents` positions whatever their number. None at all is the
paper's control "no thought".
"""

from typing import ClassVar

from transformers import PreTrainedTokenizerBase

from rim.backbone.decode import Prompt
from rim.base.tree import Kind, Tree
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.settings import Config, Stage
from rim.settings.checks import WITHOUT_ORDER
from rim.settings.progress import Progress


class StepReplacement(Method):
    """Shared by the methods of this curriculum, which say what a replacing position is."""

    cue_is_mark = True
    position: ClassVar[Kind]
    """Kind of the positions that replace steps."""

    def __init__(self, config: Config, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__(config, tokenizer)
        self.controls = WITHOUT_ORDER if config.method.latents else ()

    def layout(self, example: EncodedExample, progress: Progress) -> Tree:
        """Question, positions, and what is left of the chain."""
        nodes = self.thought(example.question, self.position, self._positions(progress.stage))
        last = len(nodes) - 1
        if self.writes_chain(progress.stage):
            self.write(nodes, example, last, first=progress.stage.replaced_steps or 0)
        else:
            self.add_leaf(nodes, Kind.ANSWER, example.answer, last, 1.0)
        return Tree(tuple(nodes), self.count([1.0]))

    def prompt(self, example: EncodedExample, stage: Stage | None = None, blocks: int | None = None) -> Prompt:
        """Question and positions; none of them for the control `removed`."""
        positions = self.config.method.latents if stage is None else self._positions(stage)
        nodes = self.thought(example.question, self.position, 0 if blocks == 0 else positions)
        cue = () if self.writes_chain(stage) else self.cue
        return Prompt(Tree(tuple(nodes)), (len(nodes) - 1,), cue)

    def writes_chain(self, stage: Stage | None = None) -> bool:
        """Until all steps are replaced."""
        return stage is not None and (stage.objective == "chain" or stage.replaced_steps is not None)

    def _positions(self, stage: Stage) -> int:
        method = self.config.method
        if stage.objective == "chain":
            return 0
        if stage.replaced_steps is None:
            return method.latents
        return min(method.latents, method.latents_per_step * stage.replaced_steps)
