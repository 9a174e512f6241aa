"""The record: what every unit found, in which call, on which card; written anew after each."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dossier.table import markdown
from rim.base.files import write_bytes, write_json

JSON, TABLE = "results.json", "table.md"


@dataclass(frozen=True)
class Record:
    """`results.json` and `table.md` of a folder.

    `content` holds `dry` (whether on a CPU), `calls` (what each ran on), `steps` (units by step) and `complete` (steps
    whose units are all done).
    """

    folder: Path
    content: dict[str, Any]

    @classmethod
    def of(cls, folder: Path, dry: bool) -> "Record":
        """The folder's record, or a new one.

        Raises:
            SystemExit: it holds a dry run and this is none, or the other way round.
        """
        file = folder / JSON
        if not file.exists():
            return cls(folder, {"dry": dry, "calls": [], "steps": {}, "complete": []})
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["dry"] != dry:
            kinds = ("a dry run on a CPU", "a run on a GPU")
            raise SystemExit(f"{file} is the record of {kinds[content['dry'] is False]}: name another folder, --out")
        return cls(folder, content)

    def begin(self, facts: dict[str, Any]) -> None:
        """A call begins."""
        self.content["calls"].append({"at": now(), **facts})

    def about(self, facts: dict[str, Any]) -> None:
        """What this call runs on."""
        self.content["calls"][-1] |= facts

    def units(self, step: str) -> dict[str, Any]:
        """The units of a step that have ended, by name."""
        found: dict[str, Any] = self.content["steps"].setdefault(step, {})
        return found

    def done(self, step: str) -> dict[str, dict[str, Any]]:
        """The facts of a step's units that are done."""
        return {name: unit["facts"] for name, unit in self.units(step).items() if unit["status"] == "done"}

    def end(self, step: str, name: str, unit: dict[str, Any]) -> None:
        """A unit has ended; what it had found before in another way is replaced."""
        self.units(step)[name] = {"at": now(), "call": len(self.content["calls"]), **unit}
        self.write()

    def close(self, step: str, names: Sequence[str]) -> bool:
        """Whether all these units of a step are done; then it is complete. A step that was skipped has none."""
        self.units(step)
        whole = bool(names) and all(name in self.done(step) for name in names)
        if whole and step not in self.content["complete"]:
            self.content["complete"].append(step)
        self.write()
        return whole

    def forget(self, names: Sequence[str]) -> None:
        """Have these steps, or `step/unit`s, done again.

        Raises:
            SystemExit: there is no such step or unit.
        """
        for name in names:
            step, _, unit = name.partition("/")
            if step not in self.content["steps"] or (unit and unit not in self.units(step)):
                known = ", ".join(self.content["steps"]) or "none"
                raise SystemExit(f"--again {name}: there is no such step or unit; steps with a record: {known}")
            for each in [unit] if unit else list(self.units(step)):
                del self.units(step)[each]
            self.content["complete"] = [each for each in self.content["complete"] if each != step]

    def write(self) -> None:
        """Both files, each whole or not at all."""
        write_json(self.folder / JSON, self.content)
        write_bytes(self.folder / TABLE, markdown(self.content).encode())


def now() -> str:
    """The time of day, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()) + " UTC"
