"""The points of a sweep: which there are, what they set, where their runs lie; checked before any work."""

import hashlib
import itertools
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rim.base.errors import SettingsError, did_you_mean
from rim.runs.machine import Machine
from rim.settings import Config
from rim.settings.load import load
from rim.studies.sweeps.axes import AnyAxis, label, read_axes, read_baselines
from rim.studies.sweeps.outcome import VALIDATION
from rim.studies.sweeps.settings import Sweep

LONGEST = 150
"""Characters of a point's name; a longer one is cut and ends in its fingerprint."""
Parameters = Mapping[str, Any]
"""Name of an axis to what Optuna stores for its value."""


@dataclass(frozen=True)
class Run:
    """One seed of a point."""

    sweep: Sweep
    name: str
    overrides: tuple[str, ...]
    seed: int

    @property
    def folder(self) -> Path:
        return self.sweep.path / self.name

    @property
    def done(self) -> bool:
        return (self.folder / "result.json").exists()

    def words(self) -> list[str]:
        own = [f"run.folder={self.sweep.folder}", f"run.name={self.sweep.name}/{self.name}", f"run.seed={self.seed}"]
        return [*self.sweep.overrides, *self.overrides, *own]

    def config(self) -> Config:
        """The settings of the run.

        Raises:
            SettingsError: they cannot be used.
        """
        return load(self.sweep.base, self.words())


@dataclass(frozen=True)
class Part:
    """A part of a sweep with a study of its own: its space, or its baselines, which are an axis of names.

    `queue` are the points that are known beforehand, in the order of training: all but those that TPE suggests.
    """

    sweep: Sweep
    axes: tuple[AnyAxis, ...]
    folder: str
    queue: tuple[Parameters, ...]

    @property
    def study_name(self) -> str:
        return f"{self.sweep.name}/{self.folder}" if self.folder else self.sweep.name

    @property
    def open(self) -> bool:
        """Whether workers draw points beyond the queue."""
        return not self.folder and self.sweep.sampler == "tpe"

    @property
    def pruned(self) -> bool:
        """Whether hopeless points are given up."""
        return not self.folder and self.sweep.pruner != "none"

    @property
    def points(self) -> int:
        """Number of points in the end."""
        return (self.sweep.trials or 0) if self.open else len(self.queue)

    def corners(self) -> tuple[Parameters, ...]:
        """The points of lists, and the ends of ranges."""
        return _grid(self.axes)

    def name(self, point: Parameters) -> str:
        """Name of a point, and its folder below the sweep's: `blocks-4_insertion_layer-2`, `baselines/direct`."""
        if self.folder:
            return f"{self.folder}/{label(point[self.axes[0].name])}"
        names = short_names([axis.name for axis in self.axes])
        text = "_".join(f"{names[axis.name]}-{label(axis.value(point[axis.name]))}" for axis in self.axes)
        if len(text) <= LONGEST:
            return text
        return f"{text[: LONGEST - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def values(self, point: Parameters) -> dict[str, Any]:
        return {axis.name: axis.value(point[axis.name]) for axis in self.axes}

    def runs(self, point: Parameters) -> list[Run]:
        """One for each seed."""
        overrides = tuple(text for axis in self.axes for text in axis.overrides_of(point[axis.name]))
        return [Run(self.sweep, f"{self.name(point)}/seed-{seed}", overrides, seed) for seed in self.sweep.seeds]


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """The shortest end of every path that no other one has, as it stands in names of folders."""
    parts = {path: [part for part in re.split(r"[.\[\]*]+", path) if part] for path in paths}
    found = {}
    for path, own in parts.items():
        others = [other for key, other in parts.items() if key != path]
        length = next((n for n in range(1, len(own)) if all(own[-n:] != other[-n:] for other in others)), len(own))
        found[path] = label(".".join(own[-length:]))
    return found


def make_parts(sweep: Sweep) -> list[Part]:
    """The parts of a sweep, baselines first: what others are compared with is there early.

    Raises:
        SettingsError: an axis or a baseline cannot be used, or there are fewer points than trials.
    """
    axes, baselines = read_axes(sweep), read_baselines(sweep)
    parts = [Part(sweep, axes, "", _queue(sweep, axes))]
    if baselines is not None:
        parts.insert(0, Part(sweep, (baselines,), "baselines", _grid((baselines,))))
    return parts


def _queue(sweep: Sweep, axes: Sequence[AnyAxis]) -> tuple[Parameters, ...]:
    size = math.prod(axis.size for axis in axes)
    if sweep.trials is not None and sweep.trials > size:
        raise SettingsError(f"trials = {sweep.trials}: the space has {size} points; sampler=grid sweeps them all")
    if sweep.sampler == "grid":
        return _grid(axes)
    return _drawn(axes, sweep.trials or 0) if sweep.sampler == "random" else ()


def _grid(axes: Sequence[AnyAxis]) -> tuple[Parameters, ...]:
    names = [axis.name for axis in axes]
    return tuple(dict(zip(names, point, strict=True)) for point in itertools.product(*(a.corners() for a in axes)))


def _drawn(axes: Sequence[AnyAxis], count: int) -> tuple[Parameters, ...]:
    """Different random points, the same ones at every call; more of them begin with the same ones."""
    source = random.Random(0)
    found: dict[str, Parameters] = {}
    while len(found) < count:
        point = {axis.name: axis.draw(source) for axis in axes}
        found.setdefault(repr(point), point)
    return tuple(found.values())


def check_points(parts: Sequence[Part]) -> None:
    """Read the settings of every point that is known beforehand; of a space that TPE draws from, of its corners.

    Raises:
        SettingsError: the first point that cannot be trained and the number of further ones, a score that runs do not
            have, or two points that are the same settings.
    """
    known: dict[str, str] = {}
    failed: dict[str, list[str]] = {}
    for part in parts:
        for point in part.queue or part.corners():
            name, run = part.name(point), part.runs(point)[0]
            try:
                config = run.config()
                _check_metric(part.sweep.metric, config)
                twin = known.setdefault(repr(replace(config, run=replace(config.run, name=""))), name)
            except SettingsError as error:
                failed.setdefault(str(error), []).append(name)
                continue
            if twin != name and not part.folder:
                failed.setdefault(f"has the same settings as {twin}: leave one out", []).append(name)
    lines = []
    for text, names in failed.items():
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        lines.append(f"point {names[0]}{more}: {text}")
    if lines:
        raise SettingsError("\n".join(lines))


def _check_metric(metric: str, config: Config) -> None:
    names = [VALIDATION, *config.data.test]
    if metric not in names:
        hint = did_you_mean(metric, names)
        raise SettingsError(f"metric = '{metric}': the runs have no such score{hint}; they have {', '.join(names)}")


def spread(points: Sequence[Any], most: int) -> list[Any]:
    """At most so many of a sequence, from its first to its last, evenly."""
    if len(points) <= most:
        return list(points)
    return [points[round(index * (len(points) - 1) / (most - 1))] for index in range(most)]


def machine_for(parts: Sequence[Part]) -> Machine:
    """Shares of this machine for the trials side by side."""
    runs = [part.runs(corner)[0] for part in parts for corner in part.corners()]
    return Machine(parts[-1].sweep.jobs, [run.config().training for run in runs])
