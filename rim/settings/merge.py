"""Values from files and overrides, placed one by one on the typed tree of settings.

Every error names where the value comes from, its full path, what was received, what is allowed and the nearest name.
"""

import pickle
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, MissingMandatoryValue, OmegaConfBaseException
from yaml import MarkedYAMLError

from rim.base.errors import SettingsError, did_you_mean
from rim.settings import Config, checks, default_stages, schema
from rim.settings.schema import shown

REPLACED = {"training.micro_batch_size": "training.tokens_per_pass"}
"""Settings that are no more, and those in their place; files of older runs have them, and they are passed over."""
EVERY = "*"
"""Stands for every index of a list in the key of an override."""
_EVERY_RULE = "`*` stands for the index of a list alone, as in stages.*.learning_rate=1e-3"
_OVERRIDE = "override"
_EMPTY = "nothing: the list is empty, give it whole"


class Merge:
    """The typed tree while it is being filled, and where each value came from.

    `root` is the dataclass of the whole: a run's settings, or others that are read by the same rules.
    """

    def __init__(self, root: type = Config) -> None:
        self.root = root
        self.tree = pickle.loads(_defaults(root))
        self.origins: dict[str, str] = {}

    def place(self, path: str, kind: Any, value: Any, origin: str) -> None:
        """Put a plain value at a path of the given type: section by section, element by element."""
        if is_dataclass(kind):
            self._section(path, kind, value, origin)
        elif schema.element(kind) is not None:
            self._list(path, schema.element(kind), value, origin)
        elif not schema.fits(kind, value):
            raise _misfit(path, kind, value, origin)
        else:
            self._leaf(path, kind, value, origin)

    def _leaf(self, path: str, kind: Any, value: Any, origin: str) -> None:
        try:
            OmegaConf.update(self.tree, path, value)
        except OmegaConfBaseException:  # a text with a broken `${...}`
            raise _misfit(path, kind, value, origin) from None
        self.origins[path] = origin

    def _section(self, path: str, kind: Any, value: Any, origin: str) -> None:
        if not isinstance(value, Mapping):
            raise _misfit(path or "the file", kind, value, origin)
        for key, item in value.items():
            if self.root is not Config or join(path, key) not in REPLACED:
                self.place(join(path, key), self._field(path, kind, str(key), item, origin), item, origin)

    def _list(self, path: str, kind: Any, value: Any, origin: str) -> None:
        if not isinstance(value, list):
            raise _misfit(path, list[kind], value, origin)
        OmegaConf.update(self.tree, path, [])
        self.origins = {old: where for old, where in self.origins.items() if not old.startswith(f"{path}[")}
        self.origins[path] = origin
        for index, item in enumerate(value):
            OmegaConf.select(self.tree, path).append(kind())
            self.place(f"{path}[{index}]", kind, item, origin)

    def override(self, text: str) -> None:
        """Place one `key=value`; a `*` in the key is every index of a list.

        Where the root has `overrides` of many runs, a setting of a run goes to their end: it wins over those of a file.
        """
        key, equals, value = text.partition("=")
        key, origin = key.strip(), f"{_OVERRIDE} '{text}'"
        if not equals or not key:
            raise SettingsError(f"{origin}: an override is written `key=value`; a file stands after --config")
        if self._is_of_runs(key):
            self.tree.overrides.append(text)
            return
        if self.root is Config and key in REPLACED:
            tell_replaced(key)
            return
        places: list[tuple[str, Any]] = [("", self.root)]
        for part in [part for part in re.split(r"[.\[\]]+", key) if part]:
            places = [below for path, kind in places for below in self._descend(path, kind, part, value, origin)]
        for path, kind in places:
            self.place(path, kind, _parse(path, kind, value, origin), origin)

    def _is_of_runs(self, key: str) -> bool:
        """Whether the root lists `overrides` of runs, and this is a setting of a run and none of its own."""
        own, section = schema.types_of(self.root), re.split(r"[.\[]", key)[0]
        return "overrides" in own and section not in own and section in schema.types_of(Config)

    def _descend(self, path: str, kind: Any, part: str, value: str, origin: str) -> list[tuple[str, Any]]:
        """Paths and types that a part of a key leads to: one, or with `*` that of every element of a list."""
        if schema.element(kind) is not None:
            return [(f"{path}[{index}]", schema.element(kind)) for index in self._indices(path, part, value, origin)]
        if part == EVERY:
            what = schema.in_words(kind).replace("a section with", "a section, so name one of")
            raise SettingsError(f"{origin}: {join(path, part)}: {_EVERY_RULE}; {path or 'the whole'} is {what}")
        if is_dataclass(kind):
            return [(join(path, part), self._field(path, kind, part, value, origin))]
        raise SettingsError(f"{origin}: {path} is {schema.in_words(kind)}, not a section: '{part}' cannot follow it")

    def _indices(self, path: str, part: str, value: str, origin: str) -> range:
        length = len(OmegaConf.select(self.tree, path))
        if part == EVERY and length:
            return range(length)
        if not part.isdecimal() or int(part) >= length:
            have = f"an index from 0 to {length - 1}, or {EVERY}" if length else _EMPTY
            raise SettingsError(f"{origin}: {path}[{part}] = {value}: {path} has {length} entries; allowed is {have}")
        return range(int(part), int(part) + 1)

    def fill_stages(self) -> None:
        """Where nobody listed stages, the method's own take their place."""
        if not self.tree.stages:
            self.tree.stages = default_stages(self.tree.method.name, self.tree.backbone.training)
            self.origins["stages"] = f"stages of method {self.tree.method.name}"

    def finish(self) -> Config:
        """Resolve and check.

        Raises:
            SettingsError: a required value is missing, or values contradict each other.
        """
        config: Config = self.resolve()
        found = [f"{self._origin(path)}: {text}" for path, text in (*checks.problems(config), *self._idle(config))]
        if found:
            raise SettingsError("\n".join(found))
        return config

    def _idle(self, config: Config) -> Iterator[tuple[str, str]]:
        """A length of training that somebody asked for by an override, and that no stage is a share of."""
        path, lengths = "training.duration", [stage.duration for stage in config.stages]
        asked = self.origins.get(path, "").startswith(_OVERRIDE) and config.training.duration is not None
        if asked and not any("%" in length for length in lengths):
            yield (
                path,
                f"{path} = {shown(config.training.duration)}: would change nothing, for no stage is in per cent of it "
                f"(stages last {', '.join(lengths)}); set stages.0.duration and so on, in per cent or steps",
            )

    def resolve(self) -> Any:
        """The tree as an object of the root's dataclass; contradictions are not looked for.

        Raises:
            SettingsError: a required value is missing, or a reference leads nowhere.
        """
        try:
            return OmegaConf.to_object(self.tree)
        except (MissingMandatoryValue, InterpolationToMissingValueError):
            path = min(OmegaConf.missing_keys(self.tree))
            text = f"{self._origin(path)}: {path} is not set and has no default; {self._rule(path)}"
            raise SettingsError(text) from None
        except OmegaConfBaseException as error:
            path, reason = error.full_key or "", str(error).partition("\n")[0]
            raise SettingsError(f"{self._origin(path)}: {path}: {reason}; {self._rule(path)}") from None

    def _origin(self, path: str) -> str:
        """The file or override that set a path, or the list it stands in."""
        while path:
            if path in self.origins:
                return self.origins[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return "defaults"

    def _rule(self, path: str) -> str:
        """What is allowed at a path."""
        kind = dict(schema.leaves(self.root)).get(re.sub(r"\d+", "0", path))
        return f"allowed is {schema.in_words(kind)}" if kind else "see --help-config"

    def _field(self, path: str, section: Any, key: str, value: Any, origin: str) -> Any:
        """The type of a section's field.

        Raises:
            SettingsError: the section has no such field.
        """
        types = schema.types_of(section)
        if key in types:
            return types[key]
        prefix = f"{path}." if path else ""
        near = schema.nearest(key, section, prefix, self.root)
        hint = f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
        whole = "a run" if self.root is Config else f"a {self.root.__name__.lower()}"
        has = f"{path or whole} has: {', '.join(types)}"
        raise SettingsError(f"{origin}: {prefix}{key} = {shown(value)}: there is no such setting{hint}; {has}")


@cache
def _defaults(root: type) -> bytes:
    """The typed tree of a dataclass, pickled: another one is unpacked in a twentieth of the time of building it."""
    return pickle.dumps(OmegaConf.structured(root))


@cache
def tell_replaced(key: str) -> None:
    """Say, once in a process, that a setting does nothing any more."""
    print(f"note: {key} has no effect: {REPLACED[key]} took its place", file=sys.stderr)


def join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _misfit(path: str, kind: Any, value: Any, origin: str) -> SettingsError:
    """A value that is not of the type at its path."""
    allowed = f"{schema.in_words(kind)}{_hint(path, kind, value)}"
    return SettingsError(f"{origin}: {path} = {shown(value)}: allowed is {allowed}")


def _hint(path: str, kind: Any, value: Any) -> str:
    """What is probably meant by a value that is not of the type at its path."""
    text, parts = str(value), schema.alternatives(kind)
    if "${" in text:
        return "; ${...} refers to another setting, and text is marked \\${"
    if str in parts and isinstance(value, int | float):
        return "; put it in quotes"
    if isinstance(kind, type) and is_dataclass(kind):
        fields = [name for name, each in schema.types_of(kind).items() if text in schema.choices(each)]
        return did_you_mean(f"{path}={text}", [f"{join(path, name)}={text}" for name in fields])
    if (inner := schema.element(kind)) is not None and schema.fits(inner, value) and "[" not in text:
        return f"; did you mean {path}=[{text}]?"
    return did_you_mean(text, [choice for part in parts for choice in schema.choices(part)])


def _parse(path: str, kind: Any, text: str, origin: str) -> Any:
    """The value of an override: text as it stands where the field is text, else YAML."""
    is_text = str in schema.alternatives(kind) or any(schema.choices(part) for part in schema.alternatives(kind))
    if is_text and text != "null" and text[:1] not in ("'", '"'):
        return text
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]  # type: ignore[index,call-overload]
    except (MarkedYAMLError, OmegaConfBaseException):
        raise _misfit(path, kind, text, origin) from None
