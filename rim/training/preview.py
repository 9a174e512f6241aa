"""Print what a run reads of its data: lengths and what is left out by split, and the first training rows."""

from typing import Any

import numpy as np

from rim.backbone.load import run_tokenizer
from rim.data.joined import Split
from rim.data.prepare import prepare, training_texts
from rim.data.store import EncodedExample
from rim.report.figures.outline import visible
from rim.report.tables import table
from rim.settings import Config

ROWS = 10
"""Rows that are printed."""


def preview(config: Config) -> None:
    """Print a report and a table of lengths for every split, and ten training rows as their tokens spell them.

    Raises:
        DataError: data that is missing, broken, or empty after the limits.
    """
    tokenizer = run_tokenizer(config, lambda: training_texts(config.data))
    splits = prepare(config.data, tokenizer, config.run.seed)
    for role, split in splits.named():
        print(f"\n{role}: {split.report}\n\n{_lengths(split)}")
    for row in range(min(ROWS, len(splits.train))):
        print(f"\n{_as_read(splits.train[row], tokenizer)}")


def _lengths(split: Split) -> str:
    """Median and largest numbers of steps and tokens."""
    counts = {
        "steps": split.steps_counts,
        "tokens of the question": split.question_lengths,
        "tokens of steps and answer": split.chain_lengths(0),
    }
    rows = [(what, int(each.min()), f"{np.median(each):g}", int(each.max())) for what, each in counts.items()]
    return table(rows, ("per row", "fewest", "median", "most"))


def _as_read(example: EncodedExample, tokenizer: Any) -> str:
    """A row: its name, and each part on a line of its own."""
    steps = [(f"step {number}", ids) for number, ids in enumerate(example.steps, 1)]
    parts = [("question", example.question), *steps, ("answer", example.answer)]
    lines = [f"  {name:<10}{visible(tokenizer.decode(ids.tolist()))}" for name, ids in parts]
    return "\n".join([example.id, *lines])
