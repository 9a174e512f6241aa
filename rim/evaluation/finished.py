"""What scoring a finished run takes: its settings, its evaluator, and the facts reported beside its scores."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rim.backbone.backbone import Backbone
from rim.backbone.fast import decoder
from rim.base.quiet import quiet_libraries
from rim.data.joined import Split
from rim.evaluation.evaluator import Evaluator
from rim.evaluation.lengths import Lengths
from rim.methods.registry import build_method
from rim.runs.environment import use_threads
from rim.runs.folder import RunFolder
from rim.settings import Config


def settings_of(folder: RunFolder, overrides: Sequence[str], sources: Sequence[str] | None) -> Config:
    """A run's settings as a command changes them, which then hold for this process.

    Args:
        sources: test sources; none: the run's own.

    Raises:
        UserError: there is no such run or setting.
    """
    quiet_libraries()
    config = folder.config(overrides)
    if sources:
        config = replace(config, data=replace(config.data, test=list(sources)))
    use_threads(config.training.threads)
    return config


def evaluator_of(folder: RunFolder, config: Config, backbone: Backbone, splits: Collection[Split] = ()) -> Evaluator:
    """Answers may be as long as they were when the run scored itself, or as these splits have them."""
    method, lengths = build_method(config, backbone.tokenizer), Lengths(**folder.read("lengths.json"))
    lengths = (lengths.or_longer(Lengths.of(method, splits)) if splits else lengths).as_set(config.evaluation)
    return Evaluator(method, backbone.tokenizer, lengths, decoder(config.evaluation.decode))


def facts_of(about: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Which weights were scored, and with how many blocks."""
    return {key: about[key] for key in ("name", "stage", "update")} | {"blocks": config.memory.blocks}
