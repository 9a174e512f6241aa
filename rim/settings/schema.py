"""What the dataclasses of settings declare: names, types in plain words, sentences, paths.

A path is written as in an override: `training.batch_size`, `stages[0].learning_rate`.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from omegaconf import MISSING

from rim.settings import Config

CALLED = {
    "lr": "stages.*.learning_rate",
    "epochs": "training.duration",
    "model": "backbone.name",
    "dataset": "data.train",
    "gpus": "training.devices",
}
"""What other programs call a setting."""
_PLAIN = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


@cache
def types_of(section: Any) -> dict[str, Any]:
    """Field name to type of a section's dataclass, in the order of the file."""
    return get_type_hints(section)


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The types of `X | None` (`NoneType` among them), or the type alone."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def element(kind: Any) -> Any:
    """The type of a list's elements; None where `kind` is not a list."""
    return get_args(kind)[0] if get_origin(kind) is list else None


def choices(kind: Any) -> tuple[Any, ...]:
    """The values of a `Literal`; empty for every other type."""
    return get_args(kind) if get_origin(kind) is Literal else ()


def in_words(kind: Any) -> str:
    """A type as a reader would say it: `a whole number or null`, `one of gpt2, llama, qwen`."""
    return " or ".join(_in_words(part) for part in alternatives(kind))


def _in_words(kind: Any) -> str:
    if kind is type(None):
        return "null"
    if choices(kind):
        return "one of " + ", ".join(choices(kind))
    if is_dataclass(kind):
        return "a section with " + ", ".join(field.name for field in fields(kind))
    if get_origin(kind) is dict:
        return "a mapping: {NAME: ..., ...}"
    if element(kind) is not None:
        inner = element(kind)
        return "a list of sections" if is_dataclass(inner) else f"a list of {_PLAIN[inner].split()[-1]}s: [..., ...]"
    return _PLAIN[kind]


def fits(kind: Any, value: Any) -> bool:
    """Whether a scalar read from YAML is of a field's type; nothing is converted but whole numbers to numbers."""
    return any(_fits(part, value) for part in alternatives(kind))


def _fits(kind: Any, value: Any) -> bool:
    if isinstance(value, str) and re.search(r"(?<!\\)\$\{", value):
        return True  # an interpolation: checked once it is resolved
    if choices(kind):
        return isinstance(value, str) and value in choices(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def leaves(section: Any = Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Path and type of every setting; the elements of a list of sections stand as `[0]`."""
    for name, kind in types_of(section).items():
        if is_dataclass(kind):
            yield from leaves(kind, f"{prefix}{name}.")
        elif is_dataclass(element(kind)):
            yield from leaves(element(kind), f"{prefix}{name}[0].")
        else:
            yield prefix + name, kind


def nearest(key: str, section: type, prefix: str, root: type = Config) -> list[str]:
    """Paths that a wrong `key` of a section may have meant: the same name elsewhere, a near one here or elsewhere."""
    if root is Config and key in CALLED:
        return [CALLED[key]]
    inside = re.sub(r"\d+", "0", prefix)
    elsewhere = {path: path.rpartition(".")[2] for path, _ in leaves(root) if path.rpartition(".")[0] + "." != inside}
    here = [prefix + name for name in get_close_matches(key, types_of(section), n=1)]
    same = [path for path, name in elsewhere.items() if name == key]
    close = get_close_matches(key, set(elsewhere.values()), n=1, cutoff=0.8)
    return same or here or [path for path, name in elsewhere.items() if name in close]


def shown(value: Any) -> str:
    """A value as YAML would have it, in at most 80 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def sections(root: Any = Config) -> Iterator[type]:
    """The dataclass of the whole and of every section in it, also of those in lists."""
    yield root
    for kind in types_of(root).values():
        inner = element(kind) or kind
        if is_dataclass(inner):
            yield from sections(inner)


@cache
def sentences(root: type = Config) -> dict[tuple[str, str], str]:
    """(class, field) to the sentence under the field, read from the sources of the sections' modules."""
    found = {}
    modules = sorted({section.__module__ for section in sections(root)})
    for node in [node for name in modules for node in ast.parse(inspect.getsource(sys.modules[name])).body]:
        if not isinstance(node, ast.ClassDef):
            continue
        for field, after in zip(node.body, node.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(field.target, ast.Name):
                found[node.name, field.target.id] = str(ast.literal_eval(after.value))
    return found


def reference(section: str = "", root: type = Config) -> str:
    """Every setting below a section: path, type, default and sentence. Empty: all; unknown: an empty text."""
    return "\n".join(_entries(root, "", section, sentences(root)))


def _entries(section: Any, prefix: str, wanted: str, told: dict[tuple[str, str], str]) -> Iterator[str]:
    for name, kind in types_of(section).items():
        path, inner = prefix + name, element(kind) or kind
        if is_dataclass(inner):
            path = f"{path}[0]" if inner is not kind else path
            yield from _entries(inner, f"{path}.", wanted, told)
        elif f"{path}.".replace("[0]", "").startswith(f"{wanted}." if wanted else ""):
            default = getattr(section(), name)
            value = "(required)" if default == MISSING else f"= {shown(default)}"
            yield f"{path} {value}\n    {in_words(kind)}\n    {told[section.__name__, name]}"
