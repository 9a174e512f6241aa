"""The dry run of the GPU dossier: the code of every step in tiny shapes on the CPU. On a GPU only the device is new."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "experiments" / "gpu"
STEPS = ["equalities", "answering", "training", "waits", "arithmetic"]
ENOUGH = "900"
"""Seconds of the clock, for a machine that does much else."""
LIMIT_SECONDS = 600.0


def called(data: Path, out: Path, *options: str) -> str:
    """What `run.sh --cpu` prints."""
    line = ["bash", str(FOLDER / "run.sh"), "--cpu", "--work", str(out / "work"), "--out", str(out), *options]
    environment = {**os.environ, "PYTHON": sys.executable, "RIM_DATA": str(data)}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def record(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return content


def test_every_step_is_done_once(data_root: Path, tmp_path: Path) -> None:
    """The first call has no time and says so; the second does all of it; the third has nothing left to do."""
    said = called(data_root, tmp_path, "--clock", "0")
    assert [f"{step}: skipped, the clock is out" in said for step in STEPS] == [True] * len(STEPS)
    assert record(tmp_path)["steps"] == {step: {} for step in STEPS}

    said = called(data_root, tmp_path, "--clock", ENOUGH)
    content = record(tmp_path)
    units = [(step, name, unit) for step in STEPS for name, unit in content["steps"][step].items()]
    assert [(step, name, unit["error"]) for step, name, unit in units if unit["status"] != "done"] == []
    assert content["complete"] == STEPS and all(f"{step}: done" in said for step in STEPS)
    check_findings(content["steps"])
    check_table((tmp_path / "table.md").read_text(encoding="utf-8"), content)

    assert "nothing is left to do" in called(data_root, tmp_path, "--clock", ENOUGH)
    assert record(tmp_path) == content


def check_findings(steps: dict[str, Any]) -> None:
    """Bars are asked; numbers are there, and are finite."""
    findings = {step: [each for unit in units.values() for each in unit["findings"]] for step, units in steps.items()}
    values = [each["value"] for found in findings.values() for each in found if not isinstance(each["value"], str)]
    assert all(abs(value) < float("inf") for value in values)
    asked = [each["what"] for each in findings["answering"] if each["bar"].startswith(("at most", "at least"))]
    assert {"RiM's first token over direct's (static)", "a chain of thought's full answer over RiM's (plain)"} <= {
        *asked
    }
    same = [each["met"] for each in findings["answering"] if "tokens differ" in each["what"]]
    assert same == [True] * len(same) and len(same) == 6
    trained = {each["what"] for each in findings["training"]}
    assert {"examples per second", "useful share of tokens", "peak memory", "waiting for data"} <= trained
    assert "conf/gsm8k.yaml: all updates" in trained
    shares = [each["value"] for each in findings["training"] if each["what"] == "useful share of tokens"]
    assert all(0.3 < share <= 1 for share in shares)
    assert [each["what"] for each in findings["arithmetic"]].count("test accuracy") == 3


def check_table(text: str, content: dict[str, Any]) -> None:
    """It says that it means nothing, with what it was made, and names every unit."""
    assert text.startswith("# The GPU dossier, a dry run on a CPU: its numbers mean nothing\n")
    assert content["calls"][-1]["torch"] in text
    assert all(name in text for units in content["steps"].values() for name in units)


def test_every_wheel_that_is_carried_has_a_pinned_version() -> None:
    lines = (FOLDER / "wheels.txt").read_text(encoding="utf-8").splitlines()
    wanted = {line.lower().replace("_", "-") for line in lines if line and not line.startswith("#")}
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in pins if "==" in line}
    assert wanted - pinned == set() and "transformers" in wanted
