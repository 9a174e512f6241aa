"""Rounds in which every entry answers the same questions, each round and each batch beginning with another entry.

A machine that grows slower makes all entries of a round slower, so ratios are taken within a round. The clock is that
of `rim.evaluation.waiting`. Each time is a call of its own, one that generates up to the answer's first token and one
that goes to its end, so nothing is watched while it runs.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from rim.backbone.fast import Decode, FastDecoder, decoder
from rim.evaluation.waiting import Asked, each_pass
from rim.studies.benchmark.settings import Benchmark
from rim.studies.benchmark.workload import Job, batches


class Case(NamedTuple):
    """What is timed: an entry, a way of decoding, a number of questions together."""

    entry: str
    decode: str
    batch_size: int


class Seconds(NamedTuple):
    """To the first generated token, to the answer's first one, to its end, and the number of tokens after the first.

    Means over the batches of a round. The first two differ where a chain is written.
    """

    one: float
    first: float
    full: float
    further: float

    @property
    def token(self) -> float | None:
        """Seconds from one generated token to the next; None: there is a single token."""
        return (self.full - self.one) / self.further if self.further else None


@dataclass(frozen=True)
class Work:
    """What an answer takes, asked alone: means over questions, exact and the same on every machine.

    A pass is a call of the model and a position one place of its input; `flops` counts matrix products and attention, a
    multiplication and an addition each as one; `tokens` are generated ones, the end included.
    """

    passes_to_first: float
    passes: float
    positions_to_first: float
    positions: float
    flops: float
    tokens: float


@dataclass
class Measured:
    """Seconds by round, bytes of memory, and work by entry."""

    seconds: dict[Case, list[Seconds]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[Case, int] = field(default_factory=dict)
    work: dict[str, Work] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """An entry with a way of decoding, which keeps what it has prepared."""

    job: Job
    decode: str
    answer: Decode

    def __call__(self, batch: Sequence[int], tokens: int) -> float:
        """Seconds in which these questions get so many tokens each."""
        return Asked(self.job.backbone, self.job.method, self.answer).seconds(self.job.asked(batch), tokens)


Say = Callable[[str], object]


def measure(bench: Benchmark, jobs: Sequence[Job], say: Say = print) -> Measured:
    """Count, warm up, and time.

    Raises:
        DecodeError: a way of decoding cannot be had here.
    """
    contenders = [Contender(job, name, decoder(name)) for name in bench.decode for job in jobs]
    measured = Measured()
    for job in jobs:
        measured.work[job.name] = work_of(job, [row for batch in batches(bench, 1) for row in batch])
    say(f"counted {len(jobs)} entries")
    for number in range(bench.warmup + bench.rounds):
        counts = number >= bench.warmup
        begin = perf_counter()
        found = one_round(bench, contenders, number, None if counts else measured.memory)
        if counts:
            for case, seconds in found.items():
                measured.seconds[case].append(seconds)
        kind = f"round {number - bench.warmup + 1} of {bench.rounds}" if counts else "warm-up"
        say(f"{kind}: {perf_counter() - begin:.0f} s")
    return measured


def one_round(
    bench: Benchmark, contenders: Sequence[Contender], number: int, memory: dict[Case, int] | None
) -> dict[Case, Seconds]:
    """Every entry answers all questions at all batch sizes, batch by batch in turn.

    Args:
        number: of the round; with the batch it says who begins.
        memory: gets the bytes of each case that it does not have yet; None: times count, and nothing is watched.
    """
    found: dict[Case, list[Seconds]] = defaultdict(list)
    for size in bench.batch_sizes:
        for index, batch in enumerate(batches(bench, size)):
            for each in rotated(contenders, number + index):
                case = Case(each.job.name, each.decode, size)
                if memory is not None and case not in memory:
                    memory[case] = memory_of(each, batch)
                found[case].append(_seconds(each, batch))
    return {case: Seconds(*map(fmean, zip(*each, strict=True))) for case, each in found.items()}


def rotated(items: Sequence[Any], by: int) -> list[Any]:
    """The items in order, beginning with number `by`, counted round."""
    start = by % len(items)
    return [*items[start:], *items[:start]]


def _seconds(contender: Contender, batch: Sequence[int]) -> Seconds:
    tokens = contender.job.tokens(batch)
    first = contender(batch, tokens.first)
    one = first if tokens.first == 1 else contender(batch, 1)
    return Seconds(one, first, contender(batch, tokens.full), tokens.full - 1)


def memory_of(contender: Contender, batch: Sequence[int]) -> int:
    """Bytes for answering a batch. On a GPU: of the weights, and the most that is allocated beyond what was before.

    On a CPU: of the weights and of the cache at its largest, exactly; activations are not in it.
    """
    backbone, tokens = contender.job.backbone, contender.job.tokens(batch).full
    weights = sum(each.nbytes for each in {id(each): each for each in backbone.parameters()}.values())
    if backbone.device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        contender(batch, tokens)
        return weights + torch.cuda.max_memory_allocated() - before
    if isinstance(contender.answer, FastDecoder):
        contender(batch, tokens)
        return weights + contender.answer.cache_bytes
    with each_pass(backbone, _cache_bytes) as sizes:
        contender(batch, tokens)
    return weights + max(sizes)


def _cache_bytes(values: Sequence[Any]) -> int:
    """Of the caches among the arguments of a pass."""
    layers = [layer for value in values if hasattr(value, "layers") for layer in value.layers]
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in layers)


def work_of(job: Job, rows: Sequence[int]) -> Work:
    """Counted in plain decoding of one question after the other."""
    counts = [_work(job, row) for row in rows]
    return Work(*(fmean(values) for values in zip(*counts, strict=True)))


def _work(job: Job, row: int) -> tuple[float, ...]:
    """Fields of `Work`."""
    tokens, counter = job.tokens([row]), FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:  # whose products the counter knows
        wait = Asked(job.backbone, job.method).watched(job.asked([row]), tokens.full, lambda _: tokens.first - 1)
    passes, positions = (wait.passes_to_first, wait.passes), (wait.positions_to_first, wait.positions)
    return (*passes, *positions, counter.get_total_flops(), tokens.full)
