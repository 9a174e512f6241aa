"""PCA of block states: what tells the states of blocks apart, their number or the value that they may hold?

The state of a block is that of its last token. Axes: E examples, K blocks, R rows (E x K), D width.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA

from rim.studies.analysis.holding import QUESTION, States


@dataclass(frozen=True)
class Projection:
    """States of all blocks at a layer on their two main axes, [R, 2], with block and value; `explained` are shares of
    the variance. The value of a block is that after the step of its number, or after the last one. `model` says of
    which model they are.
    """

    model: str
    layer: str
    place_R2: np.ndarray
    block_R: np.ndarray
    value_R: np.ndarray
    explained: tuple[float, float]


def project(states: States, width: int, layer: str, model: str) -> Projection:
    """The projection of a layer; `width` is D, `model` the name in the figure."""
    sites = [site for site in states.sites if site != QUESTION]
    rows = states.at_least(1)
    state_RD = np.concatenate([states.by_site[site, layer][rows, -width:] for site in sites])
    value_R = [states.values[row][min(k, len(states.values[row]) - 1)] for k in range(len(sites)) for row in rows]
    pca = PCA(2, random_state=0)
    place_R2 = pca.fit_transform(state_RD.astype(np.float64))
    first, second = pca.explained_variance_ratio_.tolist()
    block_R = np.repeat(np.arange(1, len(sites) + 1), len(rows))
    return Projection(model, layer, place_R2, block_R, np.array(value_R), (first, second))
