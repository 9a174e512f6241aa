"""What an answer after k of K blocks costs: with blocks 1 … k read at once, and read one by one under a stopping rule.

Read at once, the number of blocks is chosen before the question is seen: one pass, however many. A rule that looks at
readouts needs a pass for each, and what it computes from them. Which of both is faster depends on the machine: where a
pass takes as long for eight positions as for eighty, stopping early never pays in time.

Each time is that of one question, from its tokens to the answer's tokens as numbers; a round's number is the mean over
the questions, and all ways take turns, as in `rim/studies/benchmark/measure.py`. The rules compute their scores and are
made to stop at k.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from one_by_one import Readout, Rule, by_agreement, by_confidence, by_probe, read_until
from torch import nn

from rim.backbone.backbone import Backbone
from rim.backbone.decode import greedy
from rim.backbone.observer import layer_at
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.report.tables import around, table
from rim.studies.benchmark.measure import Say, rotated
from rim.studies.benchmark.summary import Spread
from rim.studies.benchmark.workload import Job, tokens_of


class Stop(NamedTuple):
    """A way of reading blocks, and the block after which the answer stands: `at once`, or the name of a rule."""

    way: str
    block: int


AT_ONCE = "at once"
"""The way in which blocks are read together."""
Stops = Mapping[Stop, Spread]
"""Milliseconds of an answer."""


def stops_json(stops: Stops) -> list[dict[str, Any]]:
    """Plain types."""
    return [{**stop._asdict(), **asdict(spread)} for stop, spread in stops.items()]


def stops_table(stops: Stops) -> str:
    """A line for every number of blocks, a column for every way of reading them."""
    ways, blocks = ([*dict.fromkeys(part)] for part in zip(*stops, strict=True))
    spreads = {stop: around(each.median, each.p10, each.p90, ".1f") for stop, each in stops.items()}
    rows = [(str(block), *(spreads[Stop(way, block)] for way in ways)) for block in blocks]
    return table(rows, ("blocks", *(way if way == AT_ONCE else f"one by one, {way}" for way in ways)))


@dataclass(frozen=True)
class Subject:
    """Who is asked what: K blocks at most, the module whose states a rule wants, and how long each answer may be."""

    backbone: Backbone
    method: Method
    examples: Sequence[EncodedExample]
    blocks: int
    layer: nn.Module
    max_new_tokens: Callable[[EncodedExample], int]


def measure_stops(subject: Subject, rules: Mapping[str, Rule], rounds: int, warmup: int, say: Say = print) -> Stops:
    """Milliseconds of an answer: median over rounds, with 10th and 90th percentile.

    Args:
        rules: by name; what they decide is not followed.
        say: is told what happens.
    """
    ways = dict(_ways(subject, rules))
    found: dict[Stop, list[float]] = defaultdict(list)
    for number in range(warmup + rounds):
        begin = perf_counter()
        for stop, milliseconds in _round(subject, ways, number).items():
            if number >= warmup:
                found[stop].append(milliseconds)
        kind = f"round {number - warmup + 1} of {rounds}" if number >= warmup else "warm-up"
        say(f"blocks one by one, {kind}: {perf_counter() - begin:.0f} s")
    return {stop: Spread.of(found[stop]) for stop in ways}


def subject_of(job: Job, questions: int) -> Subject:
    """An entry of a benchmark, asked so many of its questions."""
    return Subject(
        backbone=job.backbone,
        method=job.method,
        examples=job.examples[:questions],
        blocks=job.method.config.memory.blocks,
        layer=layer_at(job.backbone, job.method.config.evaluation.probe_layer),
        max_new_tokens=lambda example: tokens_of(job.method, example).full,
    )


def every_rule(width: int, text: Callable[[Sequence[int]], str]) -> dict[str, Rule]:
    """The rules as they are timed: how strict they are, and what the probe has learnt, changes no time.

    Args:
        width: of the states that the probe reads.
        text: tokens of an answer → what is compared.
    """
    return {
        "confidence": by_confidence(1.0),
        "agreement": by_agreement(2, text),
        "probe": by_probe((np.zeros(width), 0.0), 1.0),
    }


Way = Callable[[EncodedExample], object]


def _ways(subject: Subject, rules: Mapping[str, Rule]) -> Iterator[tuple[Stop, Way]]:
    for block in range(1, subject.blocks + 1):
        yield Stop(AT_ONCE, block), partial(_at_once, subject, block)
        for name, rule in rules.items():
            yield Stop(name, block), partial(_one_by_one, subject, block, rule)


def _round(subject: Subject, ways: Mapping[Stop, Way], number: int) -> dict[Stop, float]:
    seconds: dict[Stop, list[float]] = defaultdict(list)
    for index, example in enumerate(subject.examples):
        for stop, way in rotated([*ways.items()], number + index):
            begin = perf_counter()
            way(example)
            seconds[stop].append(perf_counter() - begin)
    return {stop: 1e3 * fmean(each) for stop, each in seconds.items()}


def _at_once(subject: Subject, block: int, example: EncodedExample) -> list[list[list[int]]]:
    prompt = subject.method.prompt(example, blocks=block).final
    read = subject.method.reader(subject.backbone)
    return greedy(subject.backbone, [prompt], subject.max_new_tokens(example), read=read)


def _one_by_one(subject: Subject, block: int, rule: Rule, example: EncodedExample) -> list[int]:
    def forced(seen: Sequence[Readout]) -> bool:
        rule(seen)
        return len(seen) == block

    prompt = subject.method.prompt(example, blocks=subject.blocks)
    return read_until(subject.backbone, prompt, subject.max_new_tokens(example), forced, subject.layer).answer
