"""A sweep whose runs are scripts of some milliseconds: what a worker does without what a model costs.

`python -m tests.studies.sweeps.stub ROOT --config …` is `python -m rim.sweep --config …` with such runs and no figures.
A run appends its folder to ROOT/ran when it has finished. What it does stands in its name: `kind-slow` waits for
ROOT/go (and saves when asked to leave), `kind-bad` fails until ROOT/mended is there, `kind-strong` has good
validations, `kind-weak` is slow and has bad ones. The environment's GRACE is that of heartbeats, in seconds.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rim import sweep
from rim.studies.sweeps import conduct, storage, trial
from rim.studies.sweeps.space import Part, Run
from rim.studies.sweeps.study import DONE, Found

RUN = """
import json, os, signal, sys, time
from pathlib import Path
folder, root, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
(folder / "results").mkdir(parents=True, exist_ok=True)
resume, name = folder / "resume.ckpt", str(folder)
print("resumed" if resume.exists() else "began", flush=True)
def leave(*_):
    resume.write_text("")
    print("saved", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, leave)
if "kind-bad" in name and not (root / "mended").exists():
    print("error: too much", file=sys.stderr)
    sys.exit(3)
for kind, accuracy in {"weak": 0.1, "strong": 0.9}.items():
    if f"kind-{kind}" in name:
        lines = [json.dumps({"update": update, "accuracy": accuracy}) + "\\n" for update in (10, 20)]
        (folder / "curve.jsonl").write_text("".join(lines))
while ("kind-slow" in name or "kind-weak" in name) and not (root / "go").exists():
    time.sleep(0.02)
right = 10 * (1 + seed)
score = {"correct": right, "count": 100}
(folder / "results" / "tracking-test.json").write_text(json.dumps({"final": score, "read_with": {"16": score}}))
(folder / "environment.json").write_text(json.dumps({"git": None, "threads": 1, "command": "x"}))
weights = {"validation_correct": right + 1, "validation_count": 100}
training = {"updates": 100, "seconds": 6.0, "flops": 5e9}
with open(root / "ran", "a") as file:
    file.write(name + "\\n")
(folder / "result.json").write_text(
    json.dumps({"weights": weights, "accuracy": {"tracking/test": right / 100}, "training": training})
)
"""


def command(root: Path, run: Run) -> list[str]:
    """The script in the place of `rim.fit`."""
    return [sys.executable, "-S", "-c", RUN, str(run.folder), str(root), str(run.seed)]


def write(folder: Path, space: str = "memory.blocks: [1, 2]", more: Sequence[str] = ()) -> Path:
    """A file of a sweep in `folder`, whose runs lie in `folder`/s."""
    lines = [
        "name: s",
        f"folder: {folder}",
        "seeds: [0]",
        *more,
        "space:",
        *(f"  {line}" for line in space.split("\n")),
    ]
    folder.mkdir(exist_ok=True)
    (folder / "s.yaml").write_text("\n".join(lines))
    return folder / "s.yaml"


def ran(root: Path) -> list[str]:
    """Names of the runs that have finished, in their order: `blocks-1/seed-0`."""
    text = (root / "ran").read_text() if (root / "ran").exists() else ""
    return ["/".join(Path(line).parts[-2:]) for line in text.split()]


def summary(parts: Sequence[Part], found: Mapping[str, Found]) -> None:
    """One line in the place of a report, because libraries for figures take seconds to import."""
    print(f"report of {sum(trial.state in DONE for trial in found[''].standing.values())} points")


def main(words: list[str]) -> int:
    """The command, in a process of its own: ROOT, then the words of `rim.sweep`."""
    storage.HEARTBEAT_SECONDS, storage.GRACE_SECONDS = 1, int(os.environ["GRACE"])
    trial.command = lambda run: command(Path(words[0]), run)
    conduct._publish = summary
    return sweep.main(words[1:])
