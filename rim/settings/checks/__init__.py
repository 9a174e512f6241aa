"""Check what types cannot, before anything is built; an error says what was given, the rule and the way out.

Every rule is a generator of (path, sentence); `problems` is their sum.
"""

from collections.abc import Iterator

from rim.settings import Config
from rim.settings.checks import memory, scoring, sharding, sources, stages, values
from rim.settings.checks.memory import WITH_BLOCKS
from rim.settings.checks.scoring import CONTROLS, WITHOUT_ORDER
from rim.settings.checks.stages import OBJECTIVES, steps_taught
from rim.settings.checks.values import value_at
from rim.settings.schema import shown

__all__ = ["CONTROLS", "OBJECTIVES", "WITHOUT_ORDER", "WITH_BLOCKS", "problems", "steps_taught", "value_at"]

RULES = (
    *(values.sizes, values.names, values.loggers, values.batches, values.types, values.heads, values.rates),
    *(sources.generated, sources.usable, sources.templates, stages.fitting, stages.durations),
    *(scoring.possible, stages.settings, memory.readable, memory.recomputable, memory.compilable, sharding.shareable),
)
"""In the order in which their findings are told."""


def problems(config: Config) -> Iterator[tuple[str, str]]:
    """(path, `path = value: rule`) of every setting that cannot be used."""
    for rule in RULES:
        for path, sentence in rule(config):
            yield path, f"{path} = {shown(value_at(config, path))}: {sentence}"
