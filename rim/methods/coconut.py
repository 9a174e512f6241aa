"""Coconut: continuous thoughts under a step-removal curriculum (Hao et al., arXiv 2412.06769).

The input of a latent position is the last layer's state of the position before it, so n latents take n + 1 passes, and
gradients flow through all of them. Starting from a model trained on chains is `backbone.start_from`, without the first
stage; the paper's control "no curriculum" is a single stage `latent`.
"""

from rim.backbone.backbone import Backbone
from rim.backbone.reading import Reader, read_chained
from rim.base.tree import Kind
from rim.methods.replacement import StepReplacement


class Coconut(StepReplacement):
    """Latents that are states."""

    position = Kind.LATENT

    def reader(self, backbone: Backbone) -> Reader:
        """In a chain of passes."""
        return read_chained
