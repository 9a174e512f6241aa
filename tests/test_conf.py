"""Every file under `conf/` can be read, and every comparison plans; none of them is trained or measured here."""

from pathlib import Path

import pytest

from rim.benchmark.settings import load_benchmark
from rim.comparison.plan import check_plan, plan_runs
from rim.comparison.settings import load_comparison
from rim.settings.load import load

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


@pytest.mark.parametrize("file", BENCHMARKS, ids=lambda file: file.stem)
def test_a_benchmark_can_be_read_with_all_its_entries(file: Path) -> None:
    bench = load_benchmark([file])
    assert bench.name == f"bench/{file.stem}"
    assert {bench.config(entry).method.name for entry in bench.entries} >= {"direct", "memory_blocks", "cot", "coconut"}
    assert f"python -m rim.bench --config conf/bench/{file.name}" in file.read_text(encoding="utf-8")
