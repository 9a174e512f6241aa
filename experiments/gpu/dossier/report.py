"""What a step's process says to the one that keeps the record: units, their findings, and how each ended."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dossier.rows import ROOT

if TYPE_CHECKING:
    import torch

LAST_LINES = 12
"""Of an error."""


@dataclass(frozen=True)
class Task:
    """What a step's process is to do.

    `end` is a moment of `time.monotonic`; `done` the facts of the step's units that are done, by name; `over` names of
    units that have ended otherwise in this call; `work` a folder for what is not kept; `data` the one of GSM8K's rows.
    """

    step: str
    cpu: bool
    end: float
    done: dict[str, dict[str, Any]]
    over: frozenset[str]
    work: Path
    data: str | None

    @property
    def device(self) -> "torch.device":
        """Where everything runs."""
        import torch

        return torch.device("cpu" if self.cpu else "cuda")

    @property
    def left(self) -> float:
        """Seconds until the step has to end."""
        return self.end - time.monotonic()

    def rows(self) -> str:
        """The folder with GSM8K's rows.

        Raises:
            RuntimeError: there is none.
        """
        if self.data is None:
            raise RuntimeError("no folder with GSM8K's rows: set RIM_DATA, or see README.md, 'Rows of GSM8K'")
        return self.data


@dataclass(frozen=True)
class Finding:
    """A number (or a word) with its unit, what is asked of it, and whether that is met; None: nothing is asked."""

    what: str
    value: float | str
    unit: str = ""
    bar: str = ""
    met: bool | None = None


def at_most(what: str, value: float, limit: float, unit: str = "") -> Finding:
    """A finding with an upper bar."""
    return Finding(what, value, unit, f"at most {limit:.4g}", value <= limit)


@dataclass(frozen=True)
class Result:
    """What a unit found: lines of the step's table, further facts as plain types, and tables of its own by title."""

    findings: Sequence[Finding]
    facts: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)


class Stopped(Exception):
    """The clock ended a unit, which goes on where it stopped; with what it has found so far."""

    def __init__(self, result: Result) -> None:
        super().__init__("stopped by the clock; the next call goes on from there")
        self.result = result


class DeviceLost(SystemExit):
    """The device answers no more in this process; what remains needs another one."""


class Report:
    """Does units, and sends what comes of them."""

    def __init__(self, task: Task, send: Callable[[dict[str, Any]], object]) -> None:
        self.task, self._send = task, send
        self._begun = 0.0

    def names(self, names: Sequence[str]) -> None:
        """All units of the step, in order."""
        self._send({"kind": "units", "names": list(names)})

    def open(self, name: str) -> bool:
        """Whether a unit is still to be done."""
        return name not in self.task.done and name not in self.task.over

    def unit(self, name: str, work: Callable[[], Result], needs: float = 0.0) -> None:
        """Do a unit, unless it is done or fewer seconds are left than it needs; an error ends it and not the step."""
        if not self.open(name):
            return
        if self.task.left < needs:
            self.end(name, "not reached", error=f"needs {needs:.0f} s, and {self.task.left:.0f} were left")
            return
        self.begin(name)
        try:
            result = work()
        except Stopped as stopped:
            self.end(name, "stopped", stopped.result, str(stopped))
        except Exception:
            self.end(name, "failed", error=last_lines(traceback.format_exc()))
            self.check_device()
        else:
            self.end(name, "done", result)

    def begin(self, name: str) -> None:
        """A unit begins."""
        self._begun = time.monotonic()
        self._send({"kind": "begin", "unit": name})

    def end(self, name: str, status: str, result: Result | None = None, error: str = "") -> None:
        """A unit has ended: done, failed, stopped, or not reached."""
        seconds = 0.0 if status == "not reached" else round(time.monotonic() - self._begun, 1)
        self._send({"kind": "end", "unit": name, "status": status, "seconds": seconds, "error": error, **plain(result)})

    def about(self, facts: dict[str, Any]) -> None:
        """What the process runs on."""
        self._send({"kind": "about", "facts": facts})

    def check_device(self) -> None:
        """Leave a process whose GPU answers no more, as after an illegal access: whatever it is asked would fail.

        Raises:
            DeviceLost: it does not answer.
        """
        if self.task.cpu:
            return
        import torch

        try:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
        except RuntimeError as error:
            raise DeviceLost(1) from error


def plain(result: Result | None) -> dict[str, Any]:
    """Plain types."""
    if result is None:
        return {"findings": [], "facts": {}, "tables": {}}
    return {**vars(result), "findings": [asdict(finding) for finding in result.findings]}


def last_lines(text: str) -> str:
    """The end of an error, with paths of the checkout seen from it."""
    return "\n".join(text.strip().replace(f"{ROOT}/", "").splitlines()[-LAST_LINES:])
