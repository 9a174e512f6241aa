"""The benchmark of training in tiny shapes, this checkout against itself: every section gives findings."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {"shares": 8, "speed": 3, "bench": 4, "saved": 2, "host": 4, "regimes": 10}
"""Sections, and findings of each."""
LIMIT_SECONDS = 900.0


def test_every_section(data_root: Path, tmp_path: Path) -> None:
    script, out = ROOT / "experiments" / "training_speed" / "measure.py", tmp_path / "results.json"
    line = [sys.executable, str(script), "--preset", "quick", "--before", str(ROOT), "--data", str(data_root)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*line, "--out", str(out)], env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(out.read_text(encoding="utf-8"))
    assert {name: len(found["findings"]) for name, found in record.items()} == SECTIONS
    for each in (*record["shares"]["findings"], *record["saved"]["findings"]):
        assert each["before"] == each["after"] > 0, "a checkout is as good as itself"
    assert all(f"## {name}" in done.stdout for name in SECTIONS)
