"""bash experiments/gpu/run.sh [--cpu] [--clock SECONDS] [--out DIR] [--again STEP[/UNIT] …] [--only STEP …]

Do what is open of the dossier within the clock, step by step, and write results.json and table.md after every unit. A
repeated call goes on where the last one stopped. --cpu is a dry run of every step in tiny shapes.
"""

import os
import sys
import time
from argparse import ArgumentParser, Namespace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dossier.children import Step, run
from dossier.clock import SECONDS, SHARES, Clock
from dossier.record import Record
from dossier.report import Task, last_lines
from dossier.rows import ROOT, folder
from dossier.work import LOOK

HERE = Path(__file__).resolve().parent.parent
LEAST = 10.0
"""Seconds that a process is started for."""
PACKAGES = (
    "torch",
    "transformers",
    "lightning",
    "peft",
    "omegaconf",
    "optuna",
    "math-verify",
    "scikit-learn",
    "pytest",
)


def main() -> int:
    """All steps; a unit that failed is a finding, and the status is 0."""
    options = _options()
    clock = Clock(options.clock, time.monotonic() - options.spent)
    record = Record.of(options.out, options.cpu)
    record.forget(options.again)
    steps = [step for step in options.only or SHARES if step not in record.content["complete"]]
    if not steps:
        _say(f"nothing is left to do: {record.folder / 'table.md'} (--again does a step anew)")
        return 0
    record.begin({"clock": options.clock, "command": _command(sys.argv[1:]), "commit": options.commit})
    _warn(options)
    if clock.left > LEAST and not _look(options, clock, record):
        return 1
    for number, step in enumerate(steps):
        _do(step, clock.ends(steps[number:])[step], options, record)
    record.write()
    _say(f"wrote {record.folder / 'results.json'} and {record.folder / 'table.md'}")
    return 0


def _command(words: list[str]) -> str:
    """The options, without folders of one machine."""
    folders = {index for index, word in enumerate(words) if word in ("--work", "--out")}
    return " ".join(word for index, word in enumerate(words) if not {index, index - 1} & folders)


def _warn(options: Namespace) -> None:
    """Say what is not here."""
    missing = [name for name in PACKAGES if not _installed(name)]
    if missing:
        _say(f"missing here, so some units will fail: {', '.join(missing)} (wheels.sh brings what is pure Python)")
    if options.data is None:
        _say("no rows of GSM8K here, so answering and training will fail: set RIM_DATA (README.md)")


def _options() -> Namespace:
    parser = ArgumentParser(prog="run.sh", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="a dry run on the CPU in tiny shapes")
    parser.add_argument("--clock", type=float, default=float(SECONDS), metavar="SECONDS", help="default: %(default)s")
    parser.add_argument(
        "--spent", type=float, default=0.0, metavar="SECONDS", help="of them, before this process began"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the record; default: this one")
    parser.add_argument("--work", type=Path, metavar="DIR", help="folder of runs and logs; default: runs/gpu")
    parser.add_argument("--again", nargs="+", default=[], metavar="STEP[/UNIT]", help="do these anew")
    parser.add_argument("--only", nargs="+", choices=SHARES, default=[], metavar="STEP", help=f"of {', '.join(SHARES)}")
    parser.add_argument("--commit", metavar="HASH", help="where the checkout has no history")
    options = parser.parse_args()
    options.work = (options.work or ROOT / "runs" / ("gpu-dry" if options.cpu else "gpu")).resolve()
    options.out = (options.out or (options.work if options.cpu else HERE)).resolve()
    for each in (options.work, options.out):
        each.mkdir(parents=True, exist_ok=True)
    options.data = folder(options.cpu, options.work)
    if options.cpu:
        os.environ |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return options


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _look(options: Namespace, clock: Clock, record: Record) -> bool:
    """Have the imports done and the device looked at; false where it cannot be used."""
    task = Task(LOOK, options.cpu, clock.end, {}, frozenset(), options.work, options.data)
    if run(task, lambda message: record.about({"commit": options.commit} | _known(message["facts"]))) == 0:
        _say(f"{record.content['calls'][-1]['device']}: {clock.left:.0f} s are left")
        return True
    _say(f"the device cannot be used (a dry run: --cpu)\n{_log(options.work, LOOK)}")
    return False


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _do(step: str, end: float, options: Namespace, record: Record) -> None:
    """One step: again after its process was lost, as long as units end and time is left."""
    heard = Step(lambda message: _hear(step, message, record))
    while end - time.monotonic() > LEAST:
        ended = len(heard.ended)
        task = Task(step, options.cpu, end, record.done(step), frozenset(heard.ended), options.work, options.data)
        status = run(task, heard)
        if heard.running is not None:
            _lost(step, heard, status, record, options.work)
        if status in (0, None) or len(heard.ended) == ended:
            break
    for name in heard.names:
        if name not in heard.ended and name not in record.done(step):
            _end(step, name, _unit("not reached", "the clock was out"), record)
    whole = record.close(step, heard.names)
    _say(f"{step}: " + ("done" if whole else "not all of it is done" if heard.names else _why(end, options.work, step)))


def _why(end: float, work: Path, step: str) -> str:
    """What is said of a step that has named no units."""
    if end - time.monotonic() <= LEAST or not (work / f"{step}.log").exists():
        return "skipped, the clock is out"
    return "its process did not begin: " + _log(work, step)


def _log(work: Path, step: str) -> str:
    """The end of what a step's process has written."""
    return last_lines((work / f"{step}.log").read_text(encoding="utf-8", errors="replace"))


def _hear(step: str, message: dict[str, Any], record: Record) -> None:
    if message["kind"] == "end":
        unit = {key: value for key, value in message.items() if key not in ("kind", "unit")}
        _end(step, message["unit"], unit, record)


def _end(step: str, name: str, unit: dict[str, Any], record: Record) -> None:
    record.end(step, name, unit)
    _say(f"{step}: {name}: {unit['status']}, {unit['seconds']:.0f} s")


def _lost(step: str, heard: Step, status: int | None, record: Record, work: Path) -> None:
    """The unit that ran when its process ended or was ended."""
    assert heard.running is not None
    if status is None:
        unit = _unit("stopped", "the clock was out")
    else:
        unit = _unit("failed", f"the process ended with status {status}\n{_log(work, step)}")
    _end(step, heard.running, unit, record)
    heard.ended.add(heard.running)
    heard.running = None


def _unit(status: str, error: str) -> dict[str, Any]:
    return {"status": status, "seconds": 0.0, "error": error, "findings": [], "facts": {}, "tables": {}}


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
