"""Benchmarks, times and work that tests make up."""

from dataclasses import replace
from typing import Any

from rim.methods.registry import build_method
from rim.studies.benchmark.bound import Bound
from rim.studies.benchmark.measure import Case, Measured, Seconds, Work
from rim.studies.benchmark.settings import Bar, Benchmark, Entry
from rim.studies.benchmark.summary import Summary, summarise
from rim.studies.benchmark.workload import Job
from tests.models import config, example, tiny_backbone

BACKBONE = tiny_backbone("llama")


def bench(*names: str, **changes: Any) -> Benchmark:
    """A benchmark of entries that have names alone."""
    made = Benchmark(name="made", entries=[Entry(name) for name in names or ("direct", "rim")])
    return replace(made, **changes)


def bar(entry: str = "rim", over: str = "direct", **changes: Any) -> Bar:
    return replace(Bar("a bar", entry, over, at_most=2.0), **changes)


def job(name: str, method: str, *lengths: int, steps: tuple[int, ...] = (3, 2, 4)) -> Job:
    """An entry on the tiny model, asked questions of these lengths."""
    rows = tuple(example(length, steps, seed=length) for length in lengths)
    return Job(name, build_method(config(method), BACKBONE.tokenizer), BACKBONE, rows)


def work(positions: float = 10) -> Work:
    return Work(1, 3, positions, positions + 2, 2e9, 3)


def measured(times: dict[str, list[tuple[float, float]]], way: str = "plain", size: int = 1) -> Measured:
    """Seconds to the first token and to the end, by entry and round; answers of three tokens."""
    made = Measured()
    for name, rounds in times.items():
        case = Case(name, way, size)
        made.seconds[case] = [Seconds(first, first, full, 2) for first, full in rounds]
        made.memory[case] = 2**20
        made.work[name] = work()
    return made


def summary(made: Measured, of: Benchmark, device: str = "cpu") -> Summary:
    """Under a bound of one millisecond."""
    return summarise(of, made, Bound(10**6, 1e9, measured=True), device)
