"""Finished runs that somebody names: which are seeds of one entry, and what an entry is called."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rim.settings import Config, Run
from rim.settings.load import to_yaml
from rim.studies.comparison.collect import FinishedRun, collect
from rim.studies.comparison.sameness import ComparisonError, check_same_data


def collect_named(folders: Sequence[Path], transfer: bool = False) -> list[FinishedRun]:
    """Read run folders, and give those that differ in nothing but name, folder and seed one entry.

    Args:
        transfer: whether checkpoints may have been chosen on different data.

    Raises:
        RunError: a folder is no run.
        ComparisonError: a run is not finished, stands there twice, or is on other data than the first.
    """
    runs = [collect(folder, "", "") for folder in folders]
    check_same_data({str(run.folder): run.config for run in runs}, transfer)
    groups: dict[str, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(_settings(run.config), []).append(run)
    for members in groups.values():
        _check_seeds(members)
    names = _names([members[0].folder for members in groups.values()])
    return [replace(run, entry=name) for name, members in zip(names, groups.values(), strict=True) for run in members]


def _settings(config: Config) -> str:
    """What makes an entry: all settings but where the run lives and its seed, also in the path of where it starts.

    The way of decoding is none of it, since it changes no answer.
    """
    start = config.backbone.start_from
    start = start and re.sub(rf"\bseed-{config.run.seed}\b", "seed-N", start)
    evaluation = replace(config.evaluation, decode="plain")
    return to_yaml(
        replace(config, run=Run(), backbone=replace(config.backbone, start_from=start), evaluation=evaluation)
    )


def _check_seeds(members: Sequence[FinishedRun]) -> None:
    seen: dict[int, FinishedRun] = {}
    for run in members:
        other = seen.setdefault(run.seed, run)
        if other is not run:
            raise ComparisonError(
                f"{other.folder} and {run.folder} are the same run twice: equal settings and seed {run.seed}. Name one "
                "of them, or train the other with another run.seed"
            )


def _names(folders: Sequence[Path]) -> list[str]:
    """Of each folder its name (of `.../direct/seed-0`: `direct`), with as much of the path as tells them apart."""
    parts = [[part for part in folder.resolve().parts if not re.fullmatch(r"seed-\d+", part)] for folder in folders]
    names = [own[-1] for own in parts]
    for length in range(2, max(len(own) for own in parts) + 1):
        names = [
            "/".join(own[-length:]) if names.count(name) > 1 else name for own, name in zip(parts, names, strict=True)
        ]
    return names
