"""Check that nothing is asked of sharded weights that they cannot do.

A rule is a generator of (path, sentence).
"""

from collections.abc import Iterator

from rim.settings import Config
from rim.settings.checks.memory import CHAINED, listed

ADDRESSED = ("graph", "compiled")
"""Ways of decoding that keep the addresses of weights."""


def shareable(config: Config) -> Iterator[tuple[str, str]]:
    """Every process takes part in every pass of the others: it has to make as many, and layers are gathered in each."""
    path, training = "training.strategy", config.training
    if not training.sharded:
        return
    if training.processes == 1:
        yield path, "needs several processes: raise training.devices or training.nodes, or set ddp"
    if config.method.name in CHAINED:
        yield (
            path,
            f"excludes method.name={config.method.name}: {listed(CHAINED)} read in as many passes as the examples of a "
            "process need, and all processes have to make the same; set ddp",
        )
    if training.compile:
        yield path, "excludes training.compile=true: layers are gathered amid what would be compiled; set false"
    if config.evaluation.decode in ADDRESSED:
        yield (
            path,
            f"excludes evaluation.decode={config.evaluation.decode}, which keeps the addresses of weights: every "
            "validation gathers them elsewhere; set plain",
        )
    if training.tokens_per_pass is None and training.accelerator != "cpu":
        yield (
            path,
            "needs training.tokens_per_pass, such as 16384: what fits is not tried out, since a process without memory "
            "would leave the others waiting",
        )
