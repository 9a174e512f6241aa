"""The parts that training a run takes: data, backbone, method, plan, evaluator."""

from dataclasses import dataclass
from functools import cached_property

from rim.backbone.backbone import Backbone
from rim.backbone.fast import decoder
from rim.data.prepare import Splits
from rim.evaluation.evaluator import Evaluator
from rim.evaluation.lengths import Lengths
from rim.methods.method import Method
from rim.runs.folder import RunFolder
from rim.settings import Config
from rim.training.plan import Plan


@dataclass
class Prepared:
    """Everything that training needs, built from the settings."""

    config: Config
    folder: RunFolder
    splits: Splits
    backbone: Backbone
    method: Method
    plan: Plan
    threads: int

    @cached_property
    def evaluator(self) -> Evaluator:
        """Answers as long as the longest one of all splits; one for the whole run, since its decoder prepares."""
        settings, splits = self.config.evaluation, (split for _, split in self.splits.named())
        lengths = Lengths.of(self.method, splits).as_set(settings)
        return Evaluator(self.method, self.backbone.tokenizer, lengths, decoder(settings.decode))

    @property
    def longest_chain(self) -> int:
        """The largest number of steps of a training example."""
        return int(self.splits.train.steps_counts.max())
