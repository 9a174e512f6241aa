"""Every file under `conf/` can be read, and every comparison plans; none of them is trained or measured here."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from rim.settings.commandline import parse
from rim.settings.load import load
from rim.studies.benchmark.settings import load_benchmark
from rim.studies.comparison.plan import check_plan, plan_runs
from rim.studies.comparison.settings import load_comparison
from rim.studies.sweeps.settings import Sweep, load_sweep

ROOT = Path(__file__).resolve().parent.parent
RUNS = sorted((ROOT / "conf").glob("*.yaml"))
BENCHMARKS = sorted((ROOT / "conf" / "bench").glob("*.yaml"))
COMPARISONS = sorted((ROOT / "conf" / "compare").glob("*.yaml"))


@pytest.mark.parametrize("file", RUNS, ids=lambda file: file.stem)
def test_a_run_can_be_read_and_says_how_it_is_started(file: Path) -> None:
    assert load([file]).stages
    assert f"python -m rim.fit --config conf/{file.name}" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", COMPARISONS, ids=lambda file: file.stem)
def test_a_comparison_plans(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)  # base files are named from the folder of the project
    comparison = load_comparison([file], [f"folder={tmp_path}"])
    runs = plan_runs(comparison)
    check_plan(comparison, runs)
    assert len(runs) >= len(comparison.entries)
    assert f"python -m rim.compare --config conf/compare/{file.name}" in file.read_text(encoding="utf-8")


STAND_IN = """#!/bin/sh
echo "$(basename "$0") $@" >> "$CALLS"
[ "$(basename "$0")" = srun ] && exit "$STATUS"
exit 0
"""
TASKS = {"SLURM_JOB_ID": "77", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "8", "SLURM_CPUS_PER_TASK": "4"}


def batch(file: Path, folder: Path, status: int) -> tuple[int, list[list[str]]]:
    """Exit status of a script of sbatch, and the words of each of SLURM's commands, which only note that they ran."""
    for name in ("srun", "scontrol"):
        (folder / name).write_text(STAND_IN)
        (folder / name).chmod(0o755)
    calls = folder / "calls"
    calls.unlink(missing_ok=True)
    env = os.environ | TASKS | {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(calls), "STATUS": str(status)}
    command = next(line for line in file.read_text().splitlines() if line.startswith("# Command:"))
    words = shlex.split(command.partition(f"sbatch conf/slurm/{file.name}")[2])
    done = subprocess.run(["bash", str(file), *words], env=env, check=False, timeout=60)
    return done.returncode, [line.split() for line in calls.read_text().splitlines()]


@pytest.mark.parametrize("status", [0, 1, 143])
def test_a_job_of_slurm_is_queued_again_where_its_run_was_asked_to_stop(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its command is one that trains on as many processes as SLURM starts."""
    monkeypatch.chdir(ROOT)
    ended, (srun, *more) = batch(ROOT / "conf/slurm/fit.sbatch", tmp_path, status)
    assert ended == status and more == ([["scontrol", "requeue", "77"]] if status == 143 else [])
    assert {"--kill-on-bad-exit=1", "--wait=0", "--cpus-per-task=4"} < {*srun}
    start = srun.index("rim.fit")
    line = parse("fit", "", srun[start + 1 :])
    training = load(line.files, line.overrides).training
    assert srun[start - 2 : start] == ["python", "-m"] and (training.nodes, training.devices) == (2, 8)


def test_a_job_of_slurm_takes_part_in_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    ended, (srun,) = batch(ROOT / "conf/slurm/sweep.sbatch", tmp_path, 0)
    line = parse("sweep", "", srun[srun.index("rim.sweep") + 1 :], settings=Sweep)
    sweep = load_sweep(line.files, line.overrides)
    assert ended == 0 and sweep.address.startswith("postgresql+psycopg://") and sweep.jobs is None


@pytest.mark.parametrize("file", BENCHMARKS, ids=lambda file: file.stem)
def test_a_benchmark_can_be_read_with_all_its_entries(file: Path) -> None:
    bench = load_benchmark([file])
    assert bench.name == f"bench/{file.stem}"
    assert {bench.config(entry).method.name for entry in bench.entries} >= {"direct", "memory_blocks", "cot", "coconut"}
    assert f"python -m rim.bench --config conf/bench/{file.name}" in file.read_text(encoding="utf-8")
