"""Answering in the shapes of Llama-3.2-1B, GPT-2 and Llama-3.2-3B: the benchmarks of conf/bench, and where time goes.

The model of a shape is built once, and its entries are measured in parts, the most telling first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from statistics import median
from time import perf_counter

import torch

from dossier.report import Finding, Report, Result, at_most
from dossier.shapes import ENTRIES, Shape
from dossier.sizes import Size, size_of
from rim.backbone.decode import Prompt
from rim.backbone.fast import FastDecoder, decoder
from rim.runs.environment import use_threads
from rim.studies.benchmark.bound import Bound, bound_of
from rim.studies.benchmark.measure import Case, Contender, measure
from rim.studies.benchmark.settings import BOUND, Benchmark
from rim.studies.benchmark.summary import BarOutcome, Summary, summarise
from rim.studies.benchmark.tables import tables
from rim.studies.benchmark.workload import Job, build, device_of

GOALS = {("rim", "direct", "first"): 1.02}
"""Of a bar's ratio, by entry, entry below the line, and time: what is hoped for beyond what is asked."""
FIRST_TOKEN_MS = 3.0
"""The goal at 1B."""
REPEATS = 15
COMPILING = 60.0
"""Seconds that compiling the passes of a shape may well take."""


@dataclass(frozen=True)
class Part:
    """What is measured together."""

    name: str
    entries: Sequence[str]
    ways: Sequence[str]
    batch_sizes: Sequence[int]
    questions: int
    rounds: int
    warmup: int = 1
    needs: float = 0.0


def parts(size: Size) -> list[Part]:
    """Of every shape, the most telling first."""
    both, few = ("plain", size.fixed), max(1, size.rounds // 3)
    return [
        Part("first token", ("direct", "rim"), both, (1,), 4, size.rounds),
        Part("beside chains", tuple(ENTRIES), both, (1,), 2, few),
        Part("together", ("direct", "rim", "cot"), (size.fixed,), size.together, 1, few),
    ]


def run(report: Report) -> None:
    """Shape by shape."""
    use_threads(1)
    size = size_of(report.task)
    compiled = [f"{shape}: compiled" for shape in size.answering[:2]] if size.compiled else []
    report.names([name for shape in size.answering for name in _names(shape, size)] + compiled)
    for shape in size.answering:
        if any(report.open(name) for name in _names(shape, size)):
            _measure(report, Built(report.task, size, shape))
    for name in filter(report.open, compiled):
        built = Built(report.task, size, name.partition(":")[0])
        part = Part("compiled", ("direct", "rim"), ("compiled",), (1,), 1, 3, warmup=3)
        report.unit(name, partial(timed, built, part), COMPILING)


def _names(shape: str, size: Size) -> list[str]:
    return [f"{shape}: {part.name}" for part in parts(size)] + [f"{shape}: its parts", f"{shape}: same tokens"]


def _measure(report: Report, built: "Built") -> None:
    first, *others = parts(built.size)
    report.unit(f"{built.shape}: {first.name}", partial(timed, built, first))
    report.unit(f"{built.shape}: its parts", partial(taken_apart, built))
    for part in others:
        report.unit(f"{built.shape}: {part.name}", partial(timed, built, part))
    report.unit(f"{built.shape}: same tokens", partial(same_tokens, built))


class Built(Shape):
    """A shape's model and entries, made when they are first needed."""

    @cached_property
    def jobs(self) -> dict[str, Job]:
        """All entries on one model."""
        return {job.name: job for job in build(self.bench)}

    @cached_property
    def bound(self) -> Bound:
        """What reading the weights once takes."""
        return bound_of(self.jobs["direct"].backbone, None)

    def narrowed(self, part: Part) -> Benchmark:
        """The settings of a part, with the bars that can be asked in it, and are not asked by the first part."""
        known, first = {*part.entries, BOUND}, {*parts(self.size)[0].entries, BOUND}
        new = known - first or known
        return replace(
            self.bench,
            entries=[entry for entry in self.bench.entries if entry.name in part.entries],
            published=[each for each in self.bench.published if each.entry in part.entries],
            bars=[bar for bar in self.bench.bars if {bar.entry, bar.over} <= known and {bar.entry, bar.over} & new],
            decode=list(part.ways),
            batch_sizes=list(part.batch_sizes),
            questions=part.questions,
            rounds=part.rounds,
            warmup=part.warmup,
        )


def timed(built: Built, part: Part) -> Result:
    """The benchmark of a part."""
    bench = built.narrowed(part)
    measured = measure(bench, [built.jobs[entry.name] for entry in bench.entries], _say)
    summary = summarise(bench, measured, built.bound, device_of(bench).type)
    findings = [*_bars(built, summary), Finding("reading the weights once", built.bound.ms, "ms")]
    return Result(findings, summary.to_json(), dict(tables(replace(summary, bars=[]))))


def _say(text: str) -> None:
    print(text, flush=True)


def _bars(built: Built, summary: Summary) -> Iterator[Finding]:
    """What is asked, where it is asked at one question, and the goals."""
    if summary.bench.batch_sizes[0] > 1:
        return
    for bar in summary.bars:
        yield Finding(f"{bar.bar.name} ({bar.decode})", bar.ratio.median, "", _asked(bar), bar.met)
    if built.shape == "llama_1b" and len(summary.bench.entries) == 2 and built.size.fixed in summary.bench.decode:
        row = summary.row(Case("direct", built.size.fixed, 1))
        goal = at_most(f"direct's first token, goal ({built.size.fixed})", row.first_ms.median, FIRST_TOKEN_MS, "ms")
        yield goal if summary.device == "cuda" else replace(goal, met=None)


def _asked(outcome: BarOutcome) -> str:
    word = "at most" if outcome.bar.at_most is not None else "at least"
    goal = GOALS.get((outcome.bar.entry, outcome.bar.over, outcome.bar.time))
    return f"{word} {outcome.limit:.3g}" + (f" (goal {goal:g})" if goal and not outcome.bar.times_positions else "")


def taken_apart(built: Built) -> Result:
    """Where the first token's time goes: making prompts, the pass over the question, and all else."""
    findings = []
    for name in ("direct", "rim"):
        job = built.jobs[name]
        contender = Contender(job, built.size.fixed, decoder(built.size.fixed))
        whole = _milliseconds(lambda each=contender: each([0], 1))
        prompts = _milliseconds(lambda each=job: _prompts(each, [0]))
        assert isinstance(contender.answer, FastDecoder) and contender.answer.last is not None
        with torch.no_grad():
            alone = _milliseconds(contender.answer.last.prefill)
        share = {"all of it": whole, "prompts": prompts, "the pass alone": alone, "the rest": whole - prompts - alone}
        findings += [Finding(f"{name}, {built.size.fixed}: {what}", value, "ms") for what, value in share.items()]
    return Result(findings)


def _prompts(job: Job, batch: Sequence[int]) -> list[Prompt]:
    """Of these questions, as deployed: only the final answer is read."""
    return [job.method.prompt(example).final for example in job.asked(batch)]


def _milliseconds(work: object) -> float:
    """Median of some calls, each waited for, after as many as prepare what is called."""
    found = []
    for number in range(3 + REPEATS):
        _wait()
        begin = perf_counter()
        work()  # type: ignore[operator]
        _wait()
        if number >= 3:
            found.append(1e3 * (perf_counter() - begin))
    return median(found)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def same_tokens(built: Built) -> Result:
    """Tokens of answers in fixed shapes against those of the same operations, called one by one."""
    size, findings = built.size, []
    for name in ("direct", "rim", "cot"):
        job, wrong, count = built.jobs[name], 0, 0
        ways = [decoder(mode) for mode in (size.fixed, size.beside)]
        for batch in ([0], [1], [0, 1, 2, 3]):
            tokens, prompts, read = job.tokens(batch).full, _prompts(job, batch), job.method.reader(job.backbone)
            found = [way(job.backbone, prompts, tokens, read=read) for way in ways]
            pairs = [pair for rows in zip(*found, strict=True) for pair in zip(*(row[0] for row in rows), strict=True)]
            wrong, count = wrong + sum(one != other for one, other in pairs), count + len(pairs)
        findings.append(at_most(f"{name}: of {count} tokens differ from {size.beside}'s, {size.fixed}", wrong, 0))
    return Result(findings)
