"""What is said of the machine, and the number of threads."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

import rim
from rim.runs import environment
from rim.runs.environment import commit, cpu_quota, describe, usable_cores, use_threads


def test_the_description_is_plain_and_complete() -> None:
    said = describe()
    assert json.loads(json.dumps(said)) == said
    assert {*said["versions"]} >= {"python", "rim", "torch", "lightning", "transformers", "peft", "datasets"}
    assert said["versions"]["rim"] == rim.__version__
    assert said["versions"]["torch"] == torch.__version__
    assert said["hardware"]["cores"] >= 1 and said["hardware"]["memory_gib"] > 0 and said["hardware"]["cpu"]


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_and_whether_the_code_differs_from_it(tmp_path: Path) -> None:
    source = tmp_path / "rim"
    source.mkdir()
    (source / "__init__.py").write_text("a = 1\n")
    assert commit(source) is None, "outside git"
    git(tmp_path, "init", "-q")
    assert commit(source) is None, "inside a repository that does not track it"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    clean = {"commit": git(tmp_path, "rev-parse", "HEAD"), "dirty": False}
    assert commit(source) == clean
    (tmp_path / "result.json").write_text("{}")
    assert commit(source) == clean, "files outside rim and conf do not change what a run does"
    (source / "new.py").write_text("b = 2\n")
    assert commit(source) == clean | {"dirty": True}


def test_a_machine_without_git_has_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit() is None


@pytest.mark.parametrize(
    ("files", "groups", "quota"),
    [
        ({}, "0::/", None),
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"cpu.max": "150000 100000"}, "0::/", 1.5),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, "0::/a/b", 3.0),
        ({"a/b/cpu.max": "200000 100000", "a/cpu.max": "300000 100000"}, "0::/a/b", 2.0),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, "3:cpu:/", 4.0),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "3:cpu:/", None),
        ({"cpu.max": "broken"}, "not a line of groups", None),
    ],
)
def test_the_quota_of_control_groups(tmp_path: Path, files: dict[str, str], groups: str, quota: float | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    own = tmp_path / "own"
    own.write_text(groups + "\n")
    assert cpu_quota(tmp_path, own) == quota


@pytest.mark.parametrize(("quota", "cores"), [(None, 8), (2.9, 2), (0.5, 1), (16.0, 8)])
def test_usable_cores_respect_affinity_and_quota(monkeypatch: pytest.MonkeyPatch, quota: float, cores: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(environment, "cpu_quota", lambda: quota)
    assert usable_cores() == cores


@pytest.mark.parametrize(
    ("threads", "processes", "in_force"), [(3, 1, 3), (3, 2, 3), (None, 1, 6), (None, 2, 3), (None, 4, 1), (None, 9, 1)]
)
def test_threads(monkeypatch: pytest.MonkeyPatch, threads: int | None, processes: int, in_force: int) -> None:
    monkeypatch.setattr(environment, "usable_cores", lambda: 6)
    monkeypatch.setattr(environment, "_OMP", "")
    assert use_threads(threads, processes) == in_force == torch.get_num_threads()


@pytest.mark.parametrize(
    ("omp", "threads", "in_force"), [("2", None, 2), ("2", 3, 3), ("many", None, 6), ("0", None, 1)]
)
def test_omp_num_threads_counts_where_the_settings_say_nothing(
    monkeypatch: pytest.MonkeyPatch, omp: str, threads: int | None, in_force: int
) -> None:
    monkeypatch.setattr(environment, "usable_cores", lambda: 6)
    monkeypatch.setattr(environment, "_OMP", omp)
    assert use_threads(threads) == in_force == torch.get_num_threads()
