"""States of blocks with the values that they may hold, and how often a way of reading finds those.

Axes: E examples, F features of a site, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rim.backbone.packing import at
from rim.data.encode import EncodedExample
from rim.report.proportion import Proportion
from rim.studies.analysis.pairs import values_of
from rim.studies.analysis.subject import Subject, block_places, question_places, stacked

QUESTION = "question"
"""The rival site: the last tokens of the question, as many as a block has."""


@dataclass(frozen=True)
class Held:
    """How many values after step t, counted from 1, were found at a site and layer."""

    found: dict[tuple[str, int, str], Proportion]

    @property
    def sites(self) -> list[str]:
        return list(dict.fromkeys(site for site, _, _ in self.found))

    @property
    def steps(self) -> list[int]:
        return sorted({step for _, step, _ in self.found})

    @property
    def layers(self) -> list[str]:
        return list(dict.fromkeys(layer for _, _, layer in self.found))

    def best(self, step: int, *, site: str | None = None) -> tuple[str, str, Proportion]:
        """Where the value after a step is found most often, among all blocks or at one site; of equals the first."""
        here = [
            key for key in self.found if key[1] == step and (key[0] != QUESTION if site is None else key[0] == site)
        ]
        key = max(here, key=lambda key: self.found[key].value)
        return key[0], key[2], self.found[key]


@dataclass(frozen=True)
class States:
    """Of E examples the states [E, F] by site and layer, and each one's values after its steps.

    Those of a site's tokens stand one after the other, the last token's last.
    """

    by_site: dict[tuple[str, str], np.ndarray]
    values: list[tuple[str, ...]]

    @property
    def sites(self) -> list[str]:
        return list(dict.fromkeys(site for site, _ in self.by_site))

    @property
    def layers(self) -> list[str]:
        return list(dict.fromkeys(layer for _, layer in self.by_site))

    def at_least(self, steps: int) -> np.ndarray:
        """Rows of examples with so many steps."""
        return np.flatnonzero([len(values) >= steps for values in self.values])

    def values_after(self, step: int, rows: np.ndarray) -> np.ndarray:
        """The values of these rows after a step, counted from 1."""
        return np.array([self.values[row][step - 1] for row in rows])


def states_of(subject: Subject, examples: Sequence[EncodedExample]) -> States:
    """Read these questions, and keep the states of every block and of the end of the question."""
    parts: dict[tuple[str, str], list[np.ndarray]] = {}
    for batch in subject.batches(examples):
        prompts = subject.prompts(batch)
        traced = subject.trace(prompts)
        blocks = [block_places(prompt.trunk) for prompt in prompts]
        size = len(blocks[0][0])
        places = {f"block {number + 1}": [each[number] for each in blocks] for number in range(len(blocks[0]))}
        places[QUESTION] = [question_places(prompt.trunk)[-size:] for prompt in prompts]
        for site, rows in places.items():
            place_BP = stacked(
                [np.pad(row, (size - len(row), 0), mode="edge") for row in rows], subject.backbone.device
            )
            for layer, name in subject.states.items():
                state_BPD = at(traced.state[layer], place_BP)
                parts.setdefault((site, name), []).append(state_BPD.flatten(1).float().cpu().numpy())
    values = [values_of(subject.task, example, subject.evaluator.tokenizer) for example in examples]
    return States({key: np.concatenate(found) for key, found in parts.items()}, values)
