"""The settings of a sweep: which space, seeds, sampler and storage; read as strictly as those of a run.

`space` and `baselines` are mappings whose keys are the user's, so they are read here; the rest is merged by type.
Imports nothing heavy: contradictions are refused at once.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from rim.base.errors import SettingsError
from rim.settings.load import read_yaml
from rim.settings.merge import Merge
from rim.settings.schema import shown
from rim.studies.sweeps.outcome import FORMER, VALIDATION

MAPPINGS = {"space": "such as `memory.blocks: [1, 2, 4]`", "baselines": "such as `direct: [method.name=direct]`"}
"""Settings whose keys are the user's, with an example of an entry."""


@dataclass
class Sweep:
    """A space of settings and the runs over it; a run's folder is `<folder>/<name>/<point>/seed-<seed>`."""

    name: str = MISSING
    """Name; runs, tables and figures stand in `<folder>/<name>`."""
    folder: str = "runs"
    """Folder of all runs."""
    question: str = ""
    """What the sweep is to find out, for the head of its report."""
    base: list[str] = field(default_factory=list)
    """Configuration files of every run; a later one wins."""
    overrides: list[str] = field(default_factory=list)
    """`key=value` of every run; they win over files, and values of the space over them."""
    space: dict[str, Any] = field(default_factory=dict)
    """Axes. An entry is the path of a setting with its values, `memory.blocks: [1, 2, 4]`; or with a range for samplers
    random and tpe, `training.clip: {low: 0.1, high: 10, log: true}`; or a name with variants, each a list of overrides,
    `curriculum: {both: [], one: ["stages=[...]"]}`. As override: space.memory.blocks=[1,2]; null takes an axis out."""
    baselines: dict[str, Any] = field(default_factory=dict)
    """Runs outside the space, which its points are compared with. An entry is a name with a list of overrides,
    `direct: [method.name=direct]`. As override: baselines.direct=[method.name=direct]; null takes one out."""
    seeds: list[int] = field(default_factory=lambda: [0])
    """Seeds of every point, trained one after the other."""
    sampler: Literal["grid", "tpe", "random"] = "grid"
    """Every point of a space of lists; or points that earlier scores suggest (TPE); or points drawn at random."""
    trials: int | None = None
    """Number of points of tpe and random, over all workers together."""
    hours: float | None = None
    """Hours after which a command begins no further trial; empty: no limit."""
    pruner: Literal["none", "median", "hyperband"] = "none"
    """Whether hopeless points are given up, by the validation accuracy of their first seed while it trains."""
    metric: str = VALIDATION
    """Score that points are ranked by: validation, or a test source where nothing learns from it."""
    storage: str | None = None
    """Address of the Optuna study, such as postgresql://user@host/db; empty: `<folder>/<name>/study.db`."""
    jobs: int | None = None
    """Trials side by side in this command, each with GPUs of its own, or its share of the cores; empty: as many as
    there are GPUs for, one on the CPU."""

    @property
    def path(self) -> Path:
        return Path(self.folder) / self.name

    @property
    def address(self) -> str:
        return self.storage or f"sqlite:///{self.path / 'study.db'}"

    @property
    def learns(self) -> bool:
        """Whether anything is chosen by scores while the sweep runs."""
        return self.sampler == "tpe" or self.pruner != "none"


def load_sweep(files: Sequence[str | Path], overrides: Sequence[str] = ()) -> Sweep:
    """Read and check a sweep's settings: defaults < files < `key=value`. Its axes are read by `space.read_axes`.

    Raises:
        SettingsError: a file, key, value or combination that cannot be used; the text says which and what can.
    """
    merge, mappings = Merge(Sweep), {name: dict[str, Any]() for name in MAPPINGS}
    for file in files:
        content = read_yaml(Path(file))
        if isinstance(content, Mapping):
            for name in MAPPINGS:
                mappings[name] |= _mapping(name, content.get(name), str(file))
            content = {key: value for key, value in content.items() if key not in MAPPINGS}
        merge.place("", Sweep, content, str(file))
    for text in overrides:
        if not _override(mappings, text):
            merge.override(text)
    sweep: Sweep = replace(merge.resolve(), **mappings)
    if sweep.metric == FORMER:
        print(f"note: metric={FORMER} is called metric={VALIDATION} now", file=sys.stderr)
        sweep.metric = VALIDATION
    found = list(problems(sweep))
    if found:
        raise SettingsError("\n".join(found))
    return sweep


def _mapping(name: str, value: Any, origin: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise SettingsError(f"{origin}: {name} = {shown(value)}: allowed is a mapping, {MAPPINGS[name]}")
    return {str(key): item for key, item in (value or {}).items()}


def _override(mappings: dict[str, dict[str, Any]], text: str) -> bool:
    """Place `space.KEY=value`, `baselines.NAME=[...]` or a whole mapping; null takes an entry out. False: another's."""
    key, equals, value = text.partition("=")
    name, _, inner = key.strip().partition(".")
    if name not in MAPPINGS or not equals:
        return False
    try:
        found: Any = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={value}"]))["value"]  # type: ignore[index,call-overload]
    except (MarkedYAMLError, OmegaConfBaseException):
        raise SettingsError(f"override '{text}': {key.strip()} = {shown(value)}: this is not valid YAML") from None
    if not inner:
        mappings[name] = _mapping(name, found, f"override '{text}'")
    elif found is None:
        mappings[name].pop(inner, None)
    else:
        mappings[name][inner] = found
    return True


def problems(sweep: Sweep) -> Iterator[str]:
    """A sentence for everything beside the space that cannot be used: path, value, rule, way out."""
    if not re.fullmatch(r"[\w+-][\w.+-]*(/[\w+-][\w.+-]*)*", sweep.name):
        yield f"name = '{sweep.name}': names a folder: letters, digits, and . _ + - only, with / between folders"
    if not sweep.seeds or len(set(sweep.seeds)) < len(sweep.seeds) or min(sweep.seeds) < 0:
        yield f"seeds = {sweep.seeds}: at least one; each stands there once, and is 0 or more"
    if sweep.jobs is not None and sweep.jobs < 1:
        yield f"jobs = {sweep.jobs}: must be at least 1"
    if sweep.hours is not None and not 0 < sweep.hours < float("inf"):
        yield f"hours = {sweep.hours}: must be above 0; empty is no limit"
    yield from _trials(sweep)
    if sweep.metric != VALIDATION and sweep.learns:
        who = "sampler tpe" if sweep.sampler == "tpe" else f"pruner {sweep.pruner}"
        yield (
            f"metric = '{sweep.metric}': {who} chooses by scores, and nothing is ever chosen on a test set: use "
            "metric=validation (test scores are reported all the same), or sampler grid or random without a pruner"
        )


def _trials(sweep: Sweep) -> Iterator[str]:
    if sweep.sampler == "grid" and sweep.trials is not None:
        yield f"trials = {sweep.trials}: a grid is swept whole; leave it empty, or use sampler=random or tpe"
    elif sweep.sampler != "grid" and sweep.trials is None:
        yield f"trials is empty: sampler {sweep.sampler} needs a number of points, such as trials=40"
    elif sweep.trials is not None and sweep.trials < 1:
        yield f"trials = {sweep.trials}: must be at least 1"
