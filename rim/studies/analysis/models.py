"""The models of a run that an analysis looks at: each checkpoint that is kept, and the one before its first update."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rim.backbone.backbone import Backbone
from rim.data.example import Task
from rim.data.joined import Split
from rim.evaluation.device import scoring_device
from rim.evaluation.finished import evaluator_of, facts_of
from rim.runs.folder import RunFolder
from rim.settings import Config
from rim.studies.analysis.subject import Subject, check_readable, chosen_layers

UNTRAINED = "untrained"


@dataclass(frozen=True)
class Models:
    """Models of a run as subjects of an analysis of one task.

    `splits` are the test sets, `layers` those that were named (none: all).
    """

    folder: RunFolder
    config: Config
    task: Task
    splits: Sequence[Split]
    layers: Sequence[int]

    def of(self, backbone: Backbone, about: dict[str, Any]) -> tuple[Subject, dict[str, Any]]:
        """A model of the run as a subject, and what a report says of it, given the facts beside its weights.

        Raises:
            AnalysisError: a run without blocks that can be looked into, or a layer that there is not.
        """
        placed = backbone.to(scoring_device(self.config.training.accelerator))
        evaluator = evaluator_of(self.folder, self.config, placed, self.splits)
        check_readable(evaluator, placed)
        layers = chosen_layers(placed, self.layers)
        subject = Subject(placed, evaluator, self.task, layers, self.config.evaluation.batch_size)
        return subject, facts_of(about, self.config)

    def at(self, name: str) -> tuple[Subject, dict[str, Any]]:
        """The model at a checkpoint, or `UNTRAINED`."""
        if name == UNTRAINED:
            return self.of(self.folder.load_untrained(), {"name": UNTRAINED, "stage": "none", "update": 0})
        return self.of(*self.folder.load_backbone(name))

    def grounding(self) -> str | None:
        """Name of the best checkpoint of the last grounding stage; None: it had none, or keeps none."""
        stages = [stage.name for stage in self.config.stages if stage.objective == "grounding"]
        names = {f"{stage}-best" for stage in stages[-1:]} & {*self.folder.kept()}
        return next(iter(names), None)

    def along(self) -> Iterable[str]:
        """Names of all, in the order of training."""
        return (UNTRAINED, *self.folder.kept())
