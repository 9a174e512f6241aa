"""GSM-Hard: GSM8K test questions with larger numbers.

Gao et al., 2022, "PAL: Program-aided Language Models"; github.com/reasoning-machines/pal, commit f81ca2a9,
`datasets/gsmhardv2.jsonl`; Apache-2.0. Test 1,319; a target is a float, graded within the bound of the publisher's
`scripts/gsm_eval.py`.

A row is `{"input": ..., "code": ..., "target": float}`. It has no steps. A file named `gsmhardv2.even.jsonl` holds
the rows of even index, and ids count rows of the full file, so that scores of both meet.
"""

from pathlib import Path

from rim.data import hub
from rim.data.example import Example
from rim.data.published import Published, Row, Source

EVEN = "gsmhardv2.even.jsonl"


def parse(row: Row) -> Example:
    """The example of a row."""
    values = row.check({"input": str, "target": float})
    stride = 2 if isinstance(row.where, Path) and row.where.name == EVEN else 1
    return row.example(values["input"], (), repr(values["target"]), row.index * stride)


FILES = ("gsm_hard/gsmhardv2.jsonl", f"gsm_hard/{EVEN}")
SOURCES = {"test": Source(FILES, (hub.Table("reasoning-machines/gsm-hard", None, "train"),))}
TASK = Published("gsm_hard", SOURCES, ("test",), "number", parse).task()
