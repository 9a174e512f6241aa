"""Writes the report of a benchmark: tables, records, the figure."""

import os
from dataclasses import asdict
from typing import Any

import torch

from rim.report.provenance import origin, provenance
from rim.report.publish import write_report
from rim.runs.environment import describe
from rim.studies.benchmark.figures import latency_figure
from rim.studies.benchmark.measure import Measured
from rim.studies.benchmark.summary import Summary
from rim.studies.benchmark.tables import csv_text, markdown, tables


def publish(summary: Summary, measured: Measured, load: tuple[float, ...], command: str) -> str:
    """Write `table.md`, `table.csv`, `results.json` and `latency.png` to the benchmark's folder.

    Args:
        load: averages of the machine at the start.

    Returns:
        The tables and the paths that were written: what a command prints.
    """
    folder, facts = summary.bench.path, describe()
    foot = footer(summary, facts, load)
    record = {"command": command, **facts, "load_average_at_start": load, "settings": asdict(summary.bench)}
    rounds = {case: [each._asdict() for each in found] for case, found in measured.seconds.items()}
    record |= {**summary.to_json(), "seconds": [{**case._asdict(), "rounds": each} for case, each in rounds.items()]}
    figures = {"latency": latency_figure(summary)}
    files = write_report(folder, markdown(summary, foot), csv_text(summary), record, figures)
    shown = [part for title, text in tables(summary) for part in (f"{title}\n", text, "")]
    return "\n".join([*shown, foot, "", *(f"wrote {file}" for file in files)])


def footer(summary: Summary, facts: dict[str, Any], load: tuple[float, ...]) -> str:
    """What the numbers come from and how they were made, as one paragraph."""
    bench = summary.bench
    memory = "weights and the cache at its largest, without activations"
    if summary.device == "cuda":
        memory = "weights and the most that an answer allocates beyond them"
    return (
        f"{origin_here(facts, bench.config(bench.entries[0]).run.seed)}\n"
        f"On {summary.device} in {bench.dtype}, load average {load[0]:.1f} at the start. Medians over {bench.rounds} "
        f"rounds (10th to 90th percentile) after {bench.warmup} of warm-up and one run under the counter; a round's "
        f"number is the mean over its questions ({bench.questions} at batch 1), its entries take turns, ratios are "
        f"taken within a round. Answers have the lengths of the data's own steps and answers, the end token included; "
        f"only the final answer is read. Memory: {memory}."
    )


def origin_here(facts: dict[str, Any], seed: int) -> str:
    """What numbers of this process come from, in one sentence; `facts` are `environment.describe()`."""
    return origin(provenance([{**facts, "threads": torch.get_num_threads()}]), [seed])


def load_average() -> tuple[float, ...]:
    """Of the last 1, 5 and 15 minutes."""
    return tuple(round(part, 2) for part in os.getloadavg())
