"""The models of a run that an analysis looks at: each checkpoint that is kept, and the one before its first update."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rim.analysis.subject import Subject, check_readable, chosen_layers
from rim.backbone.backbone import Backbone
from rim.data.example import Task
from rim.data.joined import Split
from rim.evaluation.device import scoring_device
from rim.evaluation.finished import evaluator_of, facts_of
from rim.runs.folder import RunFolder
from rim.settings import Config

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

    def of(self, backbone: Backbone) -> Subject:
        """A model of the run as a subject.

        Raises:
            AnalysisError: a run without blocks that can be looked into, or a layer that there is not.
        """
        evaluator = evaluator_of(self.folder, self.config, backbone, self.splits)
        check_readable(evaluator, backbone)
        return Subject(
            backbone, evaluator, self.task, chosen_layers(backbone, self.layers), self.config.evaluation.batch_size
        )

    def at(self, name: str | None) -> tuple[Subject, dict[str, Any]]:
        """The model at a checkpoint, None being the final pick, or `UNTRAINED`, and what a report says of it."""
        if name == UNTRAINED:
            about = {"name": UNTRAINED, "stage": "none", "update": 0}
            return self.of(self._placed(self.folder.load_untrained())), facts_of(about, self.config)
        backbone, about = self.folder.load_backbone(name)
        return self.of(self._placed(backbone)), facts_of(about, self.config)

    def grounding(self) -> str | None:
        """Name of the best checkpoint of the last grounding stage; None: it had none, or keeps none."""
        stages = [stage.name for stage in self.config.stages if stage.objective == "grounding"]
        names = {f"{stage}-best" for stage in stages[-1:]} & {*self.folder.kept()}
        return next(iter(names), None)

    def along(self) -> Iterable[str]:
        """Names of all, in the order of training."""
        return (UNTRAINED, *self.folder.kept())

    def _placed(self, backbone: Backbone) -> Backbone:
        return backbone.to(scoring_device(self.config.training.accelerator))
