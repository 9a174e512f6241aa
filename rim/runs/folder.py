"""The run folder: created once, refused where it holds another run, and enough to load its model from.

config.yaml  environment.json  lengths.json  adapters.json  data.json  tokenizer/  architecture/
weights/*.safetensors (best and last of each stage, `training.keep_every`)  selection.json
start.safetensors (with `backbone.start_from`)  resume.ckpt  curve.jsonl
events.out.tfevents.* (TensorBoard)  csv/  wandb/  trackers.json (`training.loggers`)  results/
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from rim.backbone.backbone import Backbone
from rim.backbone.load import load_backbone, run_tokenizer
from rim.base.errors import UserError
from rim.base.files import write_atomically, write_json
from rim.data.same_rows import changes
from rim.methods.registry import build_method
from rim.runs.checkpoint import load_start, load_weights, read_about
from rim.settings import Config
from rim.settings.load import differences, load, load_as, save
from rim.settings.resuming import FREE, path_of

RESULT, DATA = "result.json", "data.json"


class RunError(UserError):
    """A run folder that is missing, holds another run, or is not finished."""


class RunFolder:
    """Paths of a run, and what is read from and written to them.

    `weights` has one file per candidate; `start` are the weights of another run that this one began with; `resume` is
    the state that a repeated command goes on from.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.config_file = path, path / "config.yaml"
        self.weights, self.start, self.resume = path / "weights", path / "start.safetensors", path / "resume.ckpt"

    @property
    def begun(self) -> bool:
        """Whether something has been trained that a repeated command goes on from, or reports."""
        return self.resume.exists() or self.finished

    @property
    def finished(self) -> bool:
        """Whether the test sets have been scored; nothing but the report is left to print, also without `resume`."""
        return (self.path / RESULT).exists()

    def read(self, name: str) -> Any:
        """A JSON file of the folder; None where there is none."""
        file = self.path / name
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    def begin(self, config: Config, environment: dict[str, Any]) -> None:
        """Write the settings of a run that has trained nothing yet, and what it runs on."""
        if not self.begun:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / "environment.json", environment)
            save(config, self.config_file)

    def check_settings(self, config: Config) -> None:
        """Make sure that the folder, where it has a run, has one with these settings, but for those that may change.

        Raises:
            RunError: others differ; names each. Or nobody can say, since the run has lost its settings.
        """
        if self.begun and not self.config_file.exists():
            raise RunError(
                f"{self.path} holds a run without its {self.config_file.name}, so its settings are not known: the "
                "folder may have been removed while it was trained. Put the file back, remove the folder, or choose "
                "another run.name"
            )
        changed = [line for line in self.changed_settings(config) if path_of(line) not in FREE]
        if changed:
            raise RunError(
                f"{self.path} holds a run with other settings: {'; '.join(changed)}. Choose another run.name, remove "
                f"the folder, or repeat the command that made it to resume. Only these may change: {', '.join(FREE)}"
            )

    def changed_settings(self, config: Config) -> list[str]:
        """What differs from the settings that the folder's run began with, a line each; nothing where there is none."""
        return differences(self.config_as_saved(), config) if self.config_file.exists() else []

    def check_rows(self, reports: Sequence[dict[str, Any]]) -> None:
        """Make sure that a run which goes on has the rows that it began with; one that is finished goes on with none.

        Args:
            reports: of all splits, as `Splits.named` lists them.

        Raises:
            RunError: some differ; names their files with both hashes.
        """
        changed = changes(self.read(DATA) or [], reports) if self.begun and not self.finished else []
        if changed:
            ways = "Bring the former rows back to go on, or choose another run.name"
            revisions = sorted({each for change in changed for each in change.revisions})
            if revisions:
                ways += f". Tables of the hub are read as they were with data.revisions=[{','.join(revisions)}]"
            if all(change.test for change in changed):
                ways += f". Other test rows can be scored when it has ended: python -m rim.evaluate --run {self.path}"
            raise RunError(
                f"{self.path} began with other rows, and a run has the same from its first update to its scores: "
                f"{'; '.join(map(str, changed))}. {ways}"
            )

    def keep_rows(self, reports: Sequence[dict[str, Any]]) -> bool:
        """Write what the run is made of, once; where a finished run's rows have changed since, say so.

        Returns:
            Whether these are the rows of the run.
        """
        if not self.begun or self.read(DATA) is None:
            write_json(self.path / DATA, reports)
        changed = changes(self.read(DATA), reports)
        for change in changed:
            print(f"note          rows have changed since this run, which stays that of the former: {change}")
        return not changed

    def config(self, overrides: Sequence[str] = ()) -> Config:
        """The settings of the run, with overrides, for what reads its data.

        Raises:
            RunError: there is no run.
            SettingsError: they cannot be used, or no longer: a file of `data.modules` has moved.
        """
        return load([self._saved()], overrides)

    def config_as_saved(self) -> Config:
        """The settings that the run began with, for what reads none of its data: files that they name may have moved.

        Raises:
            RunError: there is no run.
        """
        return load_as(Config, [self._saved()], (), lambda _: ())

    def _saved(self) -> Path:
        if not self.config_file.exists():
            where = "in" if any(self.path.glob("*/config.yaml")) else "beside"
            runs = (self.path if where == "in" else self.path.parent).glob("*/config.yaml")
            near = ", ".join(sorted(str(file.parent) for file in runs)) or "none"
            raise RunError(f"{self.path} is not a run folder: it has no config.yaml. Runs {where} it: {near}")
        return self.config_file

    def tokenizer(self, config: Config, texts: Callable[[], Iterable[str]]) -> PreTrainedTokenizerBase:
        """The run's own tokenizer, as it was kept; one that is built from rows is kept once training has begun."""
        folder = self.path / "tokenizer"
        if folder.exists() and (self.begun or not _built_from_rows(config)):
            return AutoTokenizer.from_pretrained(folder)
        return run_tokenizer(config, texts)

    def keep(self, backbone: Backbone, start: Path | None = None) -> None:
        """Write tokenizer, architecture and the weights that the run starts from, once; each whole or not at all.

        Until training has begun, what is built from rows is written again: they may be others than at the last start.
        With these the run needs nothing of the folder that it starts from.
        """
        if start is not None and not self.start.exists():
            _link_or_copy(start, self.start)
        anew = not self.begun and _built_from_rows(self.config_as_saved())
        for name, part in (("tokenizer", backbone.tokenizer), ("architecture", backbone.model.config)):
            if anew or not (self.path / name).exists():
                scrap = self.path / f".{name}.part"
                part.save_pretrained(scrap)
                shutil.rmtree(self.path / name, ignore_errors=True)
                os.replace(scrap, self.path / name)

    def final(self) -> str:
        """Name of the weights that were picked.

        Raises:
            RunError: nothing has been scored yet.
        """
        name: str | None = (self.read("selection.json") or {}).get("final")
        if name is None:
            raise RunError(f"{self.path} has no scored weights yet: let the run reach its first validation")
        return name

    def load_backbone(self, name: str | None = None) -> tuple[Backbone, dict[str, Any]]:
        """The run's model with the weights of a candidate, ready to answer (no dropout), and the facts beside them.

        Made from the settings as they were saved, since nothing else gives these weights.

        Args:
            name: of the weights; None: the final pick.

        Raises:
            RunError: no weights have been chosen yet.
            CheckpointError: the weights do not fit or no longer give what they gave.
        """
        config = self.config_as_saved()
        name = name or self.final()
        backbone = self._backbone(config, self.path / "architecture" if config.backbone.training == "full" else None)
        about = load_weights(backbone, self.weights / f"{name}.safetensors")
        return backbone.eval(), about

    def load_untrained(self) -> Backbone:
        """The run's model as it was before its first update, without dropout.

        Raises:
            RunError: the folder is incomplete.
            BackboneError: the base weights are not to be had.
        """
        config = self.config_as_saved()
        backbone = self._backbone(config)
        if self.start.exists():
            load_start(backbone, self.start)
        return backbone.eval()

    def _backbone(self, config: Config, architecture: Path | None = None) -> Backbone:
        """The model with the modules of the run's method, before any weights of the run."""
        if not (self.path / "tokenizer").is_dir():
            raise RunError(
                f"{self.path} is incomplete: its tokenizer/ is missing, without which its weights mean nothing"
            )
        tokenizer = AutoTokenizer.from_pretrained(self.path / "tokenizer")
        backbone = load_backbone(config.backbone, tokenizer, config.run.seed, architecture)
        build_method(config, tokenizer).add_modules(backbone)
        return backbone

    def kept(self) -> list[str]:
        """Names of the weights that are kept, in the order of training; of those at the same update the best of its
        stage, else the last, which were scored."""
        about = {file.stem: read_about(file) for file in self.weights.glob("*.safetensors")}
        order = sorted(about, key=lambda name: ("validation_count" not in about[name], name))
        first = {(about[name]["stage"], about[name]["update"]): name for name in reversed(order)}
        return sorted(first.values(), key=lambda name: about[name]["update"])


def _built_from_rows(config: Config) -> bool:
    """Whether the tokenizer, and with it the shape of the model, comes from the training rows."""
    return config.backbone.source == "scratch" and not config.backbone.start_from


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, under which it outlives the first; a copy where the file system has no such links."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        with open(source, "rb") as content:
            write_atomically(target, lambda file: shutil.copyfileobj(content, file))
