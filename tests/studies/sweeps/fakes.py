"""Sweeps that nobody has run: plain records with scores that are known beforehand."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import log10
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from rim.report.proportion import Proportion
from rim.studies.sweeps.outcome import VALIDATION, Axis, Point, SeedScore, SweepResult

FACTS: dict[str, list[Any]] = {
    "commits": [{"commit": "0123456789abcdef", "dirty": False}],
    "hardware": [{"cpu": "Slow CPU", "cores": 2, "memory_gib": 4.0, "gpus": []}],
    "versions": [
        {"python": "3.11.7", "torch": "2.13.0", "transformers": "5.23.0", "lightning": "2.6.6", "rim": "0.1.0"}
    ],
    "threads": [1],
}
EXAMPLES = {VALIDATION: 264, "tracking/test": 600, "tracking/ood": 600}


def run(
    seed: int,
    shares: Mapping[str, float],
    read_with: Mapping[str, Mapping[int, float]] | None = None,
    updates: int = 3000,
    minutes: float = 4.2,
) -> SeedScore:
    """A finished run whose shares of right answers are these, as near as the number of examples allows."""
    scores = {source: counts(share, source) for source, share in shares.items()}
    read = {source: {n: counts(x, source) for n, x in each.items()} for source, each in (read_with or {}).items()}
    return SeedScore(seed, f"runs/seed-{seed}", scores, read, updates, minutes, flops=2e12)


def counts(share: float, source: str) -> Proportion:
    return Proportion(round(min(1.0, max(0.0, share)) * EXAMPLES[source]), EXAMPLES[source])


def point(number: int, values: Mapping[str, Any], *shares: float, state: str = "complete", **more: Any) -> Point:
    """With a seed for each share on validation rows; on test rows it is a little lower, out of distribution much."""
    seeds = tuple(
        run(seed, {VALIDATION: share, "tracking/test": share - 0.02, "tracking/ood": share / 2})
        for seed, share in enumerate(shares)
    )
    return Point(number, values, state, seeds, **more)


def sweep(axes: Sequence[Axis], points: Sequence[Point], **more: Any) -> SweepResult:
    """With the baseline `direct`, two seeds; any field can be set."""
    fields: dict[str, Any] = {
        "name": "sweeps/fake",
        "question": "How many blocks, and at which layer do they enter?",
        "baselines": {"direct": point(0, {"baseline": "direct"}, 0.41, 0.45)},
        "metric": VALIDATION,
        "sampler": "grid",
        "facts": FACTS,
        "base": ("conf/tracking.yaml",),
        "overrides": ("stages.*.learning_rate=2e-3",),
    }
    return SweepResult(axes=tuple(axes), points=tuple(points), **(fields | more))


BLOCKS = Axis("memory.blocks", (1, 2, 4, 8))
LAYER = Axis("memory.insertion_layer", (0, 2, 4))
RATE = Axis("stages.*.learning_rate", low=1e-4, high=1e-1, log=True)


def grid(seeds: int = 2, **more: Any) -> SweepResult:
    """Blocks × layer: better with more blocks, worse at later layers, seeds ± 0.02 around it."""
    noise = np.random.default_rng(0).uniform(-0.02, 0.02, (12, seeds))
    points = [
        point(
            n, {"memory.blocks": k, "memory.insertion_layer": layer},
            *(0.4 + 0.12 * np.log2(k) - 0.03 * layer + noise[n]),
            overrides=(f"memory.blocks={k}", f"memory.insertion_layer={layer}"), blocks=k,
        )
        for n, (k, layer) in enumerate(product(BLOCKS.values, LAYER.values))
    ]  # fmt: skip
    return sweep([BLOCKS, LAYER], points, **more)


VARIANTS = Axis(
    "curriculum",
    ("only_grounding", "switch_at_75_percent", "switch_at_50_percent", "switch_at_25_percent", "only_refinement"),
)


def variants(**more: Any) -> SweepResult:
    """One axis of names, two seeds each."""
    shares = [0.3, 0.62, 0.66, 0.6, 0.5]
    points = [
        point(n, {"curriculum": name}, share, share + 0.05)
        for n, (name, share) in enumerate(zip(VARIANTS.values, shares, strict=True))
    ]
    question = "What do grounding and refinement add, and when should the switch come?"
    return sweep([VARIANTS], points, question=question, **more)


def search(trials: int = 24, sampler: str = "tpe", **more: Any) -> SweepResult:
    """Learning rate × blocks, one seed, best at 2e-3 and more blocks; every fifth trial is pruned, one has failed."""
    generator = np.random.default_rng(1)
    points = []
    for n in range(trials):
        rate, blocks = float(10 ** generator.uniform(-4, -1)), int(generator.choice(BLOCKS.values))
        values = {RATE.name: rate, BLOCKS.name: blocks}
        share = 0.35 + 0.1 * np.log2(blocks) - 0.15 * abs(log10(rate / 2e-3)) + generator.normal(0, 0.02)
        if n % 5 == 3:
            points.append(point(n, values, state="pruned", pruned_at=600))
        elif n == 7:
            points.append(point(n, values, state="failed"))
        else:
            points.append(point(n, values, share, overrides=(f"{RATE.name}={rate}", f"{BLOCKS.name}={blocks}")))
    question = "Which learning rate does each number of blocks want?"
    return sweep([RATE, BLOCKS], points, sampler=sampler, question=question, **more)


def other_blocks(**more: Any) -> SweepResult:
    """Three trained numbers of blocks, each read with eight others: best with as many as trained."""
    axis = Axis("memory.blocks", (2, 4, 8))
    points = []
    for n, trained in enumerate(axis.values):
        seeds = []
        for seed in (0, 1):
            top = 0.5 + 0.05 * n + 0.02 * seed
            shares = {k: top - 0.08 * abs(np.log2(k / trained)) for k in (1, 2, 3, 4, 6, 8, 16)}
            own = {VALIDATION: shares[trained], "tracking/test": shares[trained], "tracking/ood": shares[trained] / 2}
            read = {"tracking/test": shares, "tracking/ood": {k: share / 2 for k, share in shares.items()}}
            seeds.append(run(seed, own, read))
        points.append(Point(n, {"memory.blocks": trained}, "complete", tuple(seeds), blocks=trained))
    question = "May a model be read with another number of blocks than it was trained with?"
    return sweep([axis], points, question=question, **more)


def study_of(result: SweepResult) -> optuna.Study:
    """The study, in memory, that such a sweep would have left."""
    distributions: dict[str, BaseDistribution] = {
        axis.name: CategoricalDistribution(axis.values)
        if axis.values
        else FloatDistribution(axis.low or 0.0, axis.high or 1.0, log=axis.log)
        for axis in result.axes
    }
    study = optuna.create_study(direction="maximize")
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    for point in result.points:
        value = float(np.mean([run.scores[VALIDATION].value for run in point.seeds])) if point.seeds else None
        study.add_trial(
            create_trial(state=states[point.state], value=value, params=dict(point.values), distributions=distributions)
        )
    return study
