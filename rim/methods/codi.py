"""CODI: continuous thoughts taught by the model's own chains of thought (Shen et al., arXiv 2502.21074).

                   ┌ step 1 … step T #### answer                       teacher
    question ──────┤
                   └ <b> L L L L L L </b> #### answer                  student

The teacher's chain and the student's answer have their own losses; besides, the student's states before the answer
follow the teacher's, in every layer. A latent's input is the projected state before it. Teacher and student share the
question, which is the same text for both: one reading in place of two.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rim.backbone.backbone import Backbone
from rim.backbone.decode import Prompt
from rim.backbone.reading import Reader, read_chained
from rim.base.tree import Kind, Pair, Tree
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.settings import Stage
from rim.settings.checks import WITHOUT_ORDER
from rim.settings.progress import Progress

PROJECTION = "projection"


class Codi(Method):
    """Latents in the place of all steps from the first update on."""

    controls = WITHOUT_ORDER
    cue_is_mark = True

    def add_modules(self, backbone: Backbone) -> None:
        """Add the projection from a state to an input: two layers and a norm.

        Raises:
            BackboneError: the model's embeddings are narrower than its states.
        """
        backbone.require_even_width("method.name=codi")
        d = backbone.width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.run.seed)
            layers = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Linear(d, d), nn.LayerNorm(d))
        backbone.extra[PROJECTION] = layers

    def reader(self, backbone: Backbone) -> Reader:
        """In a chain of passes, with the projection between them."""
        layers: Any = backbone.extra[PROJECTION]

        def project(state_BQD: Tensor) -> Tensor:
            return layers(state_BQD.to(layers[0].weight.dtype))  # the model's own weights may be bf16

        return partial(read_chained, project=project)

    def layout(self, example: EncodedExample, progress: Progress) -> Tree:
        """Teacher and student on one question, and the pair of their answers."""
        method = self.config.method
        nodes = self.thought(example.question, Kind.LATENT, method.latents)
        self.add_leaf(nodes, Kind.ANSWER, example.answer, len(nodes) - 1, 1.0)
        student = len(nodes) - 1
        self.write(nodes, example, 0, method.teacher)
        weight = 1.0 if method.distillation is None else method.distillation
        return Tree(tuple(nodes), self.count([1.0]), (Pair(student, len(nodes) - 1, weight),))

    def prompt(self, example: EncodedExample, stage: Stage | None = None, blocks: int | None = None) -> Prompt:
        """Question and latents; none of them for the control `removed`."""
        nodes = self.thought(example.question, Kind.LATENT, 0 if blocks == 0 else self.config.method.latents)
        return Prompt(Tree(tuple(nodes)), (len(nodes) - 1,), self.cue)
