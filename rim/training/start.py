"""A run that begins with the weights of another one: `backbone.start_from`.

A new run takes them over and keeps them as its own `start.safetensors`; from then on the other folder may go.
"""

from pathlib import Path

from rim.backbone.backbone import Backbone
from rim.backbone.load import run_of_start
from rim.base.errors import SettingsError, UserError
from rim.runs.checkpoint import CheckpointError, load_start, read_about
from rim.runs.folder import RunError, RunFolder
from rim.settings import Backbone as BackboneConfig
from rim.settings import Config
from rim.settings.load import differences

PUBLISHED = ("backbone.name:", "backbone.revision:", "backbone.gguf_file:")
"""Settings that say which pretrained model it is."""
DECIDING = {
    ("scratch", "full"): ("backbone.scratch.",),
    # the frozen base is drawn by the seed
    ("scratch", "lora"): ("backbone.scratch.", "backbone.dtype:", "backbone.lora.", "run.seed:"),
    ("pretrained", "full"): PUBLISHED,
    ("pretrained", "lora"): (*PUBLISHED, "backbone.dtype:", "backbone.lora."),
}
"""(source, training) to the settings that decide which weights fit."""
ASIDE = (
    "backbone.scratch.dropout:",
    "backbone.scratch.spread:",
    "backbone.scratch.vocabulary:",
    "backbone.lora.dropout:",
)
"""Settings among them that do not."""


class StartError(UserError):
    """Weights of another run that this one cannot start from."""


def find_start(folder: RunFolder, settings: BackboneConfig) -> Path | None:
    """The file of weights that a run begins with: its own copy, the one that is named, or the final pick of a run.

    None where the settings name no start, or the run has been trained already.

    Raises:
        StartError: no run, no weights in it, or weights of another kind of backbone.
    """
    if not settings.start_from or folder.begun:
        return None
    if folder.start.exists():
        return folder.start
    try:
        return _weights_of(settings.start_from, settings)
    except (RunError, CheckpointError, SettingsError) as error:
        raise StartError(f"backbone.start_from={settings.start_from}: {error}") from error


def _weights_of(start_from: str, settings: BackboneConfig) -> Path:
    given, run = Path(start_from), RunFolder(run_of_start(start_from))
    theirs = run.config_as_saved().backbone
    for name in ("source", "training"):
        has, wanted = getattr(theirs, name), getattr(settings, name)
        if has != wanted:
            raise RunError(
                f"{run.config_file} has backbone.{name}={has}, and this run has {wanted}: their weights have other "
                f"names. Set backbone.{name}={has}, or start from a run with backbone.{name}={wanted}"
            )
    path = given if given.suffix == ".safetensors" else run.weights / f"{run.final()}.safetensors"
    read_about(path)
    return path


def begin_with(start: Path | None, backbone: Backbone, config: Config) -> None:
    """Put the weights that were found in place, if any.

    Raises:
        StartError: they do not fit this model; says which settings differ.
    """
    if start is None:
        return
    try:
        load_start(backbone, start)
    except CheckpointError as error:
        raise StartError(f"backbone.start_from={config.backbone.start_from}: {error}{_what_differs(config)}") from error


def _what_differs(config: Config) -> str:
    """The deciding settings in which this run differs from the one that it starts from, as the end of a sentence."""
    run = RunFolder(run_of_start(config.backbone.start_from or ""))
    if not run.config_file.exists():
        return ""
    deciding = DECIDING[config.backbone.source, config.backbone.training]
    changed = [line for line in differences(run.config_as_saved(), config) if line.startswith(deciding)]
    changed = [line for line in changed if not line.startswith(ASIDE)]
    return f". Other than in {run.config_file} are {'; '.join(changed)}" if changed else ""
