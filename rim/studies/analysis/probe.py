"""Linear probes: can the value after a step be read from a block by a linear map?

A ridge classifier on the states of a site's tokens, whose penalty is chosen by leave-one-out, is fitted on training
questions and scored on others. The floor is the same probe fitted on shuffled values.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rim.report.proportion import Proportion
from rim.studies.analysis.holding import Held, States

PENALTIES = (1.0, 10.0, 100.0, 1000.0)
LEAST = 20
"""Fewest fitting examples of a number of steps."""


@dataclass(frozen=True)
class Probes:
    """Right values by probes, and by those that were fitted on shuffled ones."""

    right: Held
    floor: Held


def probe(train: States, test: States) -> Probes:
    """A probe for every step, site and layer. Steps that too few examples have are left out."""
    right: dict[tuple[str, int, str], Proportion] = {}
    floor: dict[tuple[str, int, str], Proportion] = {}
    longest = max(map(len, train.values), default=0)
    for step in range(1, longest + 1):
        rows, scored = train.at_least(step), test.at_least(step)
        values = train.values_after(step, rows)
        if len(rows) < LEAST or not len(scored) or len(np.unique(values)) < 2:
            continue
        shuffled, wanted = np.random.default_rng(step).permutation(values), test.values_after(step, scored)
        for site, layer in train.by_site:
            states, others = train.by_site[site, layer][rows], test.by_site[site, layer][scored]
            right[site, step, layer] = _fitted(states, values, others, wanted)
            floor[site, step, layer] = _fitted(states, shuffled, others, wanted)
    return Probes(Held(right), Held(floor))


def _fitted(states: np.ndarray, values: np.ndarray, others: np.ndarray, wanted: np.ndarray) -> Proportion:
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=PENALTIES)).fit(states, values)
    return Proportion(int((model.predict(others) == wanted).sum()), len(wanted))
