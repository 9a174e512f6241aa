"""Every setting of a run: one dataclass per section, a sentence and a unit under each field.

Marks in the sentences: [paper] is stated in arXiv 2605.30343; [open] is stated nowhere reliable and
therefore a field; `docs/open-choices.md` lists those. Reading files and overrides is `load.py`.
These files import nothing heavy, so that `--help` answers at once.
"""

from dataclasses import dataclass, field

from rim.settings.data import Arithmetic, Columns, Data, Own, Renumbered, Tracking
from rim.settings.evaluation import DecodeMode, Evaluation
from rim.settings.model import ATTENTION, Backbone, Lora, Memory, Scratch
from rim.settings.teaching import Method, Stage, default_stages
from rim.settings.training import Training

__all__ = [
    "ATTENTION", "Arithmetic", "Backbone", "Columns", "Config", "Data", "DecodeMode", "Evaluation", "Lora", "Memory",
    "Method", "Own", "Renumbered", "Run", "Scratch", "Stage", "Tracking", "Training", "default_stages",
]  # fmt: skip


@dataclass
class Run:
    """Where the run lives."""

    name: str = "run"
    """Name of the run; its folder is `<folder>/<name>`."""
    folder: str = "runs"
    """Folder of all runs."""
    seed: int = 0
    """Seed of weights, order of examples, dropout and noise."""


@dataclass
class Config:
    """A run."""

    run: Run = field(default_factory=Run)
    """Where the run lives."""
    data: Data = field(default_factory=Data)
    """Which examples."""
    backbone: Backbone = field(default_factory=Backbone)
    """Which model."""
    memory: Memory = field(default_factory=Memory)
    """The memory blocks."""
    method: Method = field(default_factory=Method)
    """How it is taught."""
    stages: list[Stage] = field(default_factory=list)
    """The curriculum, in order; empty: the method's own."""
    training: Training = field(default_factory=Training)
    """Optimisation and the machine."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    """Scoring."""
