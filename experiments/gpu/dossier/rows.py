"""Where GSM8K's rows are."""

import os
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = (ROOT / ".cache" / "gpu" / "data", ROOT.parent / "shared" / "data", ROOT / "shared" / "data")
"""Where they are looked for, where RIM_DATA names no folder."""
FILES = ("gsm8k/train.jsonl", "gsm8k/test.jsonl", "gsm8k_icot/valid.txt")
"""What is read: questions, and the held-out ones, which train nothing."""
FEW = 60
"""Rows of each file that a dry run reads."""


def folder(dry: bool, work: Path) -> str | None:
    """The folder with the rows, or one in `work` with a few of them; None: there is none."""
    named = os.environ.get("RIM_DATA")
    folders = [Path(named)] if named else FOLDERS
    found = next((each for each in folders if all((each / file).is_file() for file in FILES)), None)
    if found is None:
        return None
    return str(_few(found, work / "data") if dry else found)


def _few(found: Path, target: Path) -> Path:
    for name in FILES:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        with open(found / name, encoding="utf-8") as file:
            (target / name).write_text("".join(islice(file, FEW)), encoding="utf-8")
    return target
