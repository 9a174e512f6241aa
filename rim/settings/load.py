"""The settings of a run: read (dataclass defaults < files in order < `key=value`), saved and compared."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from rim.base.errors import SettingsError
from rim.base.files import write_bytes
from rim.settings import Config
from rim.settings.merge import Merge, join
from rim.settings.schema import shown

Settings = TypeVar("Settings")

__all__ = ["SettingsError", "differences", "flat", "load", "load_as", "read_yaml", "save", "to_yaml"]


def load(files: Sequence[str | Path], overrides: Sequence[str] = ()) -> Config:
    """Read and check a run's settings.

    Args:
        files: YAML files; a later one wins, and its `stages` replace those of an earlier one.
        overrides: `training.batch_size=64`, `stages.0.learning_rate=1e-3`, `data.test=[a/b,c/d]`, `data.root=null`.
            Text is taken as it stands; in quotes it is YAML: `data.question_end="\\n"`. They win over files.
            Where no file and no override lists stages, `stages.0` is a stage of the method's own curriculum.
            `stages.*.learning_rate=1e-3` sets the field of every stage.

    Raises:
        SettingsError: a file, key, value or combination that cannot be used; the text says which and what can.
    """
    merge = Merge()
    for file in files:
        merge.place("", Config, read_yaml(Path(file)), str(file))
    of_stages = [text for text in overrides if re.match(r"stages\b(?!\s*=)", text)]
    for text in overrides:
        if text not in of_stages:
            merge.override(text)
    merge.fill_stages()
    for text in of_stages:
        merge.override(text)
    return merge.finish()


def load_as(
    root: type[Settings],
    files: Sequence[str | Path],
    overrides: Sequence[str],
    problems: Callable[[Settings], Iterable[str]],
) -> Settings:
    """Read and check settings other than a run's, by the same rules: defaults < files < `key=value`.

    Args:
        root: their dataclass.
        problems: a sentence for everything that cannot be used.

    Raises:
        SettingsError: a file, key, value or combination that cannot be used; the text says which and what can.
    """
    merge = Merge(root)
    for file in files:
        merge.place("", root, read_yaml(Path(file)), str(file))
    for text in overrides:
        merge.override(text)
    settings: Settings = merge.resolve()
    found = list(problems(settings))
    if found:
        raise SettingsError("\n".join(found))
    return settings


def read_yaml(file: Path) -> Any:
    """A YAML file as plain containers.

    Raises:
        SettingsError: there is no such file, or it is no YAML; names the nearest file, or the line.
    """
    try:
        return OmegaConf.to_container(OmegaConf.load(file))
    except FileNotFoundError:
        raise SettingsError(f"{file}: no such file; {_neighbours(file)}") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise SettingsError(f"{file}{where}: this is not valid YAML: {error.problem}") from None
    except (OSError, UnicodeDecodeError, OmegaConfBaseException) as error:
        reason = str(error).partition("\n")[0]
        raise SettingsError(f"{file}: cannot be read as settings, sections of `key: value` lines: {reason}") from None


def _neighbours(file: Path) -> str:
    if Path("conf", file).is_file():
        return f"did you mean '{Path('conf', file)}'?"
    if not file.parent.is_dir():
        return f"there is no folder '{file.parent}' either"
    others = sorted(str(other) for other in file.parent.glob("*.y*ml"))
    near = get_close_matches(str(file), others, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"the folder has: {', '.join(others)}" if others else "its folder has no YAML files"


def to_yaml(config: Config) -> str:
    """The settings as YAML that `load` reads back to an equal Config."""
    return OmegaConf.to_yaml(OmegaConf.create(_escaped(asdict(config))))


def save(config: Config, path: str | Path) -> None:
    """Write the settings as YAML."""
    write_bytes(Path(path), to_yaml(config).encode())


def _escaped(value: Any) -> Any:
    """Plain containers with `${` in texts marked as text: OmegaConf would read a reference to another setting.

    It reads two backslashes before a `${` as one.
    """
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def differences(a: Config, b: Config) -> list[str]:
    """What changed from `a` to `b`, one line per setting: `data.train: "x" -> "y"`."""
    left, right = flat(a), flat(b)
    lines = []
    for path in {**left, **right}:
        before, after = (shown(side[path]) if path in side else "(absent)" for side in (left, right))
        if before != after:
            lines.append(f"{path}: {before} -> {after}")
    return lines


def flat(config: Config) -> dict[str, Any]:
    """Every setting by its path, as in `stages[0].name`."""
    return _leaves("", asdict(config))


def _leaves(path: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        parts = {join(path, key): item for key, item in value.items()}
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        parts = {f"{path}[{index}]": item for index, item in enumerate(value)}
    else:
        return {path: value}
    return {leaf: item for key, part in parts.items() for leaf, item in _leaves(key, part).items()}
