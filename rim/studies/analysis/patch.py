"""Causal interventions: what becomes of an answer when states of another question stand in the place of its own.

A site is some tokens: a block, all blocks, or, as rivals, tokens of the question that differ, its last token, and as
many random ones as a block has. At a layer the site's states (the layer's inputs) are those of the donor, and all
above and after is computed from them. Keys or values of a site are patched in all layers at once. An answer then is
the donor's, stays, or is neither ("broken"). Only pairs whose two answers are right without a patch take part.

Axes: B examples, P places of a site.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

import numpy as np
from torch import Tensor

from rim.backbone.decode import Prompt
from rim.backbone.patching import Patch, Trace, patched
from rim.data.answers import grade
from rim.studies.analysis.answering import answers, right
from rim.studies.analysis.pairs import Pair
from rim.studies.analysis.subject import Subject, block_places, question_places, stacked

OUTCOMES = ("donor's", "stays", "broken")
KEYS, VALUES, BOTH = "keys, all layers", "values, all layers", "keys and values, all layers"


@dataclass
class Interventions:
    """Numbers of outcomes by site and column, which is a layer or one of `KEYS`, `VALUES`, `BOTH`; `pairs` took part of
    `asked`."""

    pairs: int = 0
    asked: int = 0
    counts: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def share(self, site: str, column: str, outcome: str = "donor's") -> float:
        """Share of an outcome; nan where nothing was measured."""
        found = self.counts.get((site, column), Counter())
        return found[outcome] / found.total() if found else float("nan")

    @property
    def sites(self) -> list[str]:
        return list(dict.fromkeys(site for site, _ in self.counts))


def intervene(subject: Subject, pairs: Sequence[Pair]) -> Interventions:
    """Patch every site of every pair at the input of every layer, and by keys and values in all of them."""
    found = Interventions(asked=len(pairs))
    for start in range(0, len(pairs), subject.batch_size):
        _intervene(subject, pairs[start : start + subject.batch_size], found)
    return found


def _intervene(subject: Subject, pairs: Sequence[Pair], found: Interventions) -> None:
    own, foreign = right(subject, [pair.receiver for pair in pairs]), right(subject, [pair.donor for pair in pairs])
    kept = [pair for pair, *both in zip(pairs, own, foreign, strict=True) if all(both) and _alike(subject, pair)]
    found.pairs += len(kept)
    if not kept:
        return
    receivers = subject.prompts([pair.receiver for pair in kept])
    donated = subject.trace(subject.prompts([pair.donor for pair in kept]))
    for site, place_BP in sites(subject, kept, receivers):
        for column in (*(f"layer {layer}" for layer in subject.layers), KEYS, VALUES, BOTH):
            texts = answers(subject, receivers, patched(_patches(donated, column, place_BP)))
            outcomes = Counter(_outcome(subject, pair, text) for pair, text in zip(kept, texts, strict=True))
            found.counts.setdefault((site, column), Counter()).update(outcomes)


def sites(subject: Subject, pairs: Sequence[Pair], prompts: Sequence[Prompt]) -> Iterator[tuple[str, Tensor]]:
    """Every site with its places [B, P]."""
    blocks = [block_places(prompt.trunk) for prompt in prompts]
    text = [question_places(prompt.trunk) for prompt in prompts]
    placed = partial(stacked, device=subject.backbone.device)
    for number in range(len(blocks[0])):
        yield f"block {number + 1}", placed([each[number] for each in blocks])
    yield "all blocks", placed([np.concatenate(each) for each in blocks])
    yield "question: changed tokens", placed([own[pair.changed] for own, pair in zip(text, pairs, strict=True)])
    yield "question: last token", placed([own[-1:] for own in text])
    size = len(blocks[0][0])
    drawn = [_random(own, size, pair) for own, pair in zip(text, pairs, strict=True)]
    yield "question: random tokens", placed(drawn)


def _random(places: np.ndarray, count: int, pair: Pair) -> np.ndarray:
    """Some of a question's tokens, the same ones whatever the batch."""
    return np.array(Random(pair.receiver.id).sample(places.tolist(), min(count, len(places))))


def _patches(foreign: Trace, column: str, place_BP: Tensor) -> list[Patch]:
    if column.startswith("layer "):
        return [foreign.patch("state", int(column.removeprefix("layer ")), place_BP)]
    keys = [foreign.patch("keys", layer, place_BP) for layer in foreign.keys if column != VALUES]
    return keys + [foreign.patch("values", layer, place_BP) for layer in foreign.values if column != KEYS]


def _alike(subject: Subject, pair: Pair) -> bool:
    """Whether the blocks of both stand at the same places, which sentences of other lengths would move."""
    own, foreign = (prompt.trunk.flat.memory_N for prompt in subject.prompts([pair.receiver, pair.donor]))
    return np.array_equal(own, foreign)


def _outcome(subject: Subject, pair: Pair, text: str) -> str:
    """Where both have the same answer, keeping it is staying."""
    rule = subject.task.answer_rule
    if grade(rule, text, pair.receiver.gold):
        return "stays"
    return "donor's" if grade(rule, text, pair.donor.gold) else "broken"
