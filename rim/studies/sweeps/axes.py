"""The axes of a space as they are written: lists of values, ranges of numbers, named variants.

A *parameter* is what Optuna stores for a value: the value itself where it is a scalar, else its JSON.
"""

import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rim.base.errors import SettingsError, did_you_mean
from rim.settings import Config, schema
from rim.settings.merge import Merge
from rim.settings.schema import shown
from rim.studies.sweeps.settings import Sweep

OWN = ("run.name", "run.folder", "run.seed")
"""Settings that the sweep gives every run."""
BASELINE = "baseline"
"""Name of the one axis that baselines lie on."""
_RANGE = ("low", "high", "log", "step")
_FINE = 1e-9


@dataclass(frozen=True)
class Listed:
    """An axis of listed values, or of variants by name: each value with its overrides."""

    name: str
    values: tuple[Any, ...]
    overrides: tuple[tuple[str, ...], ...]

    @property
    def parameters(self) -> tuple[Any, ...]:
        """What Optuna stores for each value."""
        return tuple(value if value is None or isinstance(value, int | float | str) else json.dumps(value)
                     for value in self.values)  # fmt: skip

    @property
    def size(self) -> int:
        return len(self.values)

    def value(self, parameter: Any) -> Any:
        return self.values[self.parameters.index(parameter)]

    def overrides_of(self, parameter: Any) -> list[str]:
        return list(self.overrides[self.parameters.index(parameter)])

    def draw(self, source: random.Random) -> Any:
        return source.choice(self.parameters)

    def corners(self) -> tuple[Any, ...]:
        return self.parameters

    def record(self) -> dict[str, list[str]]:
        """The axis in plain types, to compare with that of a study: label to overrides."""
        return {label(value): list(given) for value, given in zip(self.values, self.overrides, strict=True)}


@dataclass(frozen=True)
class Range:
    """An axis of numbers from `low` to `high`, both included: on a log scale, or in steps, or neither."""

    name: str
    low: float
    high: float
    log: bool
    step: float | None
    whole: bool

    @property
    def size(self) -> float:
        step = self.step or (1 if self.whole else None)
        return math.inf if step is None else round((self.high - self.low) / step) + 1

    def value(self, parameter: float) -> float:
        return parameter

    def overrides_of(self, parameter: float) -> list[str]:
        return [f"{self.name}={as_text(parameter)}"]

    def draw(self, source: random.Random) -> float:
        """A parameter, uniform on the axis' scale."""
        if self.log:
            rounded = 0.5 if self.whole else 0.0  # a whole number stands for half a unit to either side
            found = math.exp(source.uniform(math.log(self.low - rounded), math.log(self.high + rounded)))
            return min(max(round(found) if self.whole else found, self.low), self.high)
        if self.size < math.inf:
            found = self.low + source.randrange(int(self.size)) * (self.step or 1)
            return found if self.whole else round(found, 12)
        return source.uniform(self.low, self.high)

    def corners(self) -> tuple[float, ...]:
        return self.low, self.high

    def record(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "log": self.log, "step": self.step}


AnyAxis = Listed | Range


def label(value: Any) -> str:
    """A value in a folder's name; empty where nothing of it can stand there."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) if value != [] else "none"
    return re.sub(r"[^\w.+-]+", "_", text).strip("_.")


def as_text(value: Any) -> str:
    """A value as it stands in an override: YAML, and text as it is where YAML would not read anything else into it."""
    plain = isinstance(value, str) and value.isprintable() and value != "null" and value[:1] not in ("'", '"')
    return value if plain else json.dumps(value)


def read_axes(sweep: Sweep) -> tuple[AnyAxis, ...]:
    """The axes of a sweep's space.

    Raises:
        SettingsError: everything that cannot be used, a line each: path, value, rule, way out.
    """
    found = [*_refused("overrides", sweep.overrides)]
    axes: list[AnyAxis] = []
    for name, given in sweep.space.items():
        try:
            axes.append(_axis(name, given, sweep.sampler))
        except SettingsError as error:
            found.append(str(error))
    if not sweep.space:
        found.append("space is empty: a sweep needs an axis, such as `memory.blocks: [1, 2, 4]`")
    found += _overlaps(axes)
    if found:
        raise SettingsError("\n".join(found))
    return tuple(axes)


def read_baselines(sweep: Sweep) -> Listed | None:
    """Baselines as an axis of variants; None: there are none.

    Raises:
        SettingsError: a baseline that cannot be used.
    """
    return _variants("baselines", BASELINE, sweep.baselines) if sweep.baselines else None


def _axis(name: str, given: Any, sampler: str) -> AnyAxis:
    path, leaf = f"space.{name}", _leaf(name)
    if name in OWN:
        raise SettingsError(f"{path}: {name} is the sweep's to set: from name, folder and seeds")
    if name in schema.types_of(Config):
        example = next(leaf for leaf, _ in schema.leaves() if leaf.startswith(name)).replace("[0]", ".*")
        raise SettingsError(f"{path}: {name} is a section, and an axis is one setting, such as `{example}: [...]`")
    if leaf is None and "." not in name and "[" not in name and isinstance(given, Mapping):
        return _variants(path, name, given)
    if leaf is None:
        raise SettingsError(f"{path}: {_unknown(name, given)}")
    if isinstance(given, Mapping):
        return _range(path, name, leaf, given, sampler)
    if not isinstance(given, list):
        raise SettingsError(
            f"{path} = {shown(given)}: an axis is a list of values, [1, 2], or a range, {{low: 1, high: 8}}"
        )
    _check_values(path, leaf, given)
    return Listed(name, tuple(given), tuple((f"{name}={as_text(value)}",) for value in given))


def _leaf(name: str) -> Any:
    """The type of the setting at a path; None: there is none."""
    return dict(schema.leaves()).get(re.sub(r"\.(\d+|\*)(?=\.)|\[(\d+|\*)\]", "[0]", name))


def _unknown(name: str, given: Any) -> str:
    """What a run says to a setting that it does not have, and how variants are written."""
    value = given[0] if isinstance(given, list) and given else given
    text, merge = f"{name}={as_text(value)}", Merge()
    merge.fill_stages()
    reason = "an axis is one setting"
    try:
        merge.override(text)
    except SettingsError as error:
        reason = str(error).removeprefix(f"override '{text}': ")
    variants = "" if "." in name else "; variants are written `NAME: {first: [key=value], second: []}`"
    return reason + variants


def _check_values(path: str, kind: Any, values: list[Any]) -> None:
    if not values:
        raise SettingsError(f"{path} = []: an axis needs a value, and two to say anything")
    for index, value in enumerate(values):
        if not _fits(kind, value):
            named = [choice for part in schema.alternatives(kind) for choice in schema.choices(part)]
            hint = did_you_mean(str(value), named)
            raise SettingsError(f"{path}[{index}] = {shown(value)}: allowed is {schema.in_words(kind)}{hint}")
    _check_labels(path, values)


def _fits(kind: Any, value: Any) -> bool:
    inner = schema.element(kind)
    if inner is None:
        return schema.fits(kind, value)
    return isinstance(value, list) and all(schema.fits(inner, item) for item in value)


def _check_labels(path: str, values: list[Any]) -> None:
    """Values name folders, so two must not look alike there."""
    for value, count in Counter(json.dumps(value) for value in values).items():
        if count > 1:
            raise SettingsError(f"{path}: {value} stands there {count} times; once will do")
    seen: dict[str, Any] = {}
    for value in values:
        name = label(int(value) if isinstance(value, float) and value.is_integer() else value)
        if not name:
            raise SettingsError(f"{path}: {shown(value)} names no folder: it needs a letter or digit")
        if name in seen:
            raise SettingsError(f"{path}: {shown(seen[name])} and {shown(value)} name one folder, '{name}'; rename one")
        seen[name] = value


def _range(path: str, name: str, kind: Any, given: Mapping[str, Any], sampler: str) -> Range:
    numbers = [part for part in schema.alternatives(kind) if part in (int, float)]
    if not numbers:
        raise SettingsError(f"{path}: a range is for numbers, and {name} is {schema.in_words(kind)}: list its values")
    if sampler == "grid":
        raise SettingsError(f"{path}: a range belongs to samplers tpe and random; a grid needs a list of values")
    for key in given:
        if key not in _RANGE:
            hint = did_you_mean(str(key), _RANGE)
            raise SettingsError(f"{path}.{key}: there is no such setting{hint}; a range has: {', '.join(_RANGE)}")
    for key, wanted in {"low": numbers[0], "high": numbers[0], "log": bool, "step": numbers[0] | None}.items():
        value = given.get(key, False if key == "log" else None)
        if not schema.fits(wanted, value):
            raise SettingsError(f"{path}.{key} = {shown(value)}: allowed is {schema.in_words(wanted)}")
    found = Range(name, given["low"], given["high"], given.get("log", False), given.get("step"), numbers[0] is int)
    _check_range(path, found)
    return found


def _check_range(path: str, found: Range) -> None:
    if not -math.inf < found.low < found.high < math.inf:
        raise SettingsError(f"{path}: low = {found.low} must be below high = {found.high}")
    if found.log and found.low <= 0:
        raise SettingsError(f"{path}.low = {found.low}: must be above 0 on a log scale")
    if found.step is None:
        return
    if found.log:
        raise SettingsError(f"{path}.step = {found.step}: steps and a log scale exclude each other; leave one out")
    if not found.step > 0 or abs(math.remainder((found.high - found.low) / found.step, 1)) >= _FINE:
        raise SettingsError(f"{path}.step = {found.step}: must be above 0 and lead from {found.low} to {found.high}")


def _variants(path: str, name: str, given: Mapping[str, Any]) -> Listed:
    if not given:
        raise SettingsError(f"{path} = {{}}: an axis needs a variant, and two to say anything")
    for key, overrides in given.items():
        if not isinstance(overrides, list) or not all(isinstance(text, str) for text in overrides):
            raise SettingsError(
                f"{path}.{key} = {shown(overrides)}: a variant is a list of overrides, such as [memory.blocks=4], or []"
            )
        for sentence in _refused(f"{path}.{key}", overrides):
            raise SettingsError(sentence)
    names = [str(key) for key in given]
    _check_labels(path, names)
    return Listed(name, tuple(names), tuple(tuple(overrides) for overrides in given.values()))


def _refused(path: str, overrides: list[str]) -> Iterator[str]:
    for text in overrides:
        if text.partition("=")[0].strip() in OWN:
            yield f"{path}: '{text}' is the sweep's to set: from name, folder and seeds"


def _overlaps(axes: list[AnyAxis]) -> Iterator[str]:
    """A setting that two axes set would have the value of the later one, whatever the first says."""
    keys = [_set_by(axis) for axis in axes]
    for index, axis in enumerate(axes):
        for other, theirs in zip(axes[:index], keys[:index], strict=True):
            for one in sorted(keys[index]):
                if any(_same(one, two) for two in theirs):
                    yield f"space.{axis.name} sets {one}, which space.{other.name} sets, too: leave one out"


def _set_by(axis: AnyAxis) -> set[str]:
    if isinstance(axis, Range):
        return {axis.name}
    return {text.partition("=")[0].strip() for overrides in axis.overrides for text in overrides}


def _same(one: str, other: str) -> bool:
    parts = [[part for part in re.split(r"[.\[\]]+", path) if part] for path in (one, other)]
    return len(parts[0]) == len(parts[1]) and all(a == b or "*" in (a, b) for a, b in zip(*parts, strict=True))
