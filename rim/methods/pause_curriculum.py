"""Pause as thought: fixed pause tokens under Coconut's step-removal curriculum, one of its controls (arXiv 2412.06769).

One pass, the same positions as Coconut's latents: the closest fixed-token relative of RiM that had been published.
"""

from rim.base.tree import Kind
from rim.methods.replacement import StepReplacement


class PauseCurriculum(StepReplacement):
    """Positions that hold the memory token."""

    position = Kind.MEMORY
