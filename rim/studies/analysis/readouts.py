"""Which step does the grounding checkpoint read from a block?

In grounding each block is read as a step of the reasoning. Those readouts are asked twice: after the blocks of the
grounding checkpoint itself, and after blocks whose states, at every layer, are those of the checkpoint that is
analysed. Counted is how often the text is that of a step. A readout of a step begins with no cue, which belongs to
answers.

Axes: B examples, K blocks, P tokens of all blocks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rim.backbone.decode import Prompt, greedy
from rim.backbone.patching import patched, traced_layers
from rim.backbone.reading import Reader, read_once
from rim.data.encode import EncodedExample
from rim.report.proportion import Proportion
from rim.studies.analysis.holding import Held
from rim.studies.analysis.subject import Subject, block_places, stacked

OWN, FINAL = "its own blocks", "blocks of the analysed checkpoint"


@dataclass(frozen=True)
class ReadSteps:
    """How often the readout of each block is step t, for blocks of `OWN` and of `FINAL` (the layers of `held`).

    `without_room` questions are left out: their blocks and a step of `longest` tokens, the longest of all, take more
    than the model's positions.
    """

    held: Held
    longest: int
    without_room: int


def read_steps(subject: Subject, grounding: Subject, examples: Sequence[EncodedExample]) -> ReadSteps:
    """Read every block of these questions as a step.

    Args:
        subject: the checkpoint that is analysed.
        grounding: the same model at the end of grounding.
    """
    longest = max((len(step) for example in examples for step in example.steps), default=1)
    asked = [example for example in examples if _has_room(grounding, example, longest)]
    found: dict[tuple[str, int, str], list[bool]] = {}
    for batch in subject.batches(asked):
        prompts = _prompts(grounding, batch)
        for whose, read in ((OWN, read_once), (FINAL, _with_states_of(subject, prompts))):
            for example, texts_K in zip(batch, _texts(grounding, prompts, read, longest), strict=True):
                for step, wanted in enumerate(_decoded(grounding, example.steps), 1):
                    for block, text in enumerate(texts_K, 1):
                        found.setdefault((f"block {block}", step, whose), []).append(text == wanted)
    held = Held({key: Proportion(sum(same), len(same)) for key, same in found.items()})
    return ReadSteps(held, longest, len(examples) - len(asked))


def _prompts(grounding: Subject, examples: Sequence[EncodedExample]) -> list[Prompt]:
    """All blocks of the settings, each read without a cue."""
    return [replace(prompt, cue=()) for prompt in grounding.evaluator.prompts(grounding.backbone, examples)]


def _has_room(grounding: Subject, example: EncodedExample, longest: int) -> bool:
    limit, [prompt] = grounding.backbone.positions, _prompts(grounding, [example])
    return limit is None or prompt.positions + longest <= limit


def _with_states_of(subject: Subject, prompts: Sequence[Prompt]) -> Reader:
    """Reading in which the states of all blocks, at the input of every layer, are another checkpoint's."""
    traced = subject.trace(prompts)
    places = [np.concatenate(block_places(prompt.trunk)) for prompt in prompts]
    place_BP = stacked(places, subject.backbone.device)
    return patched([traced.patch("state", layer, place_BP) for layer in traced_layers(subject.backbone)])


def _texts(grounding: Subject, prompts: Sequence[Prompt], read: Reader, longest: int) -> Iterator[list[str]]:
    """[B, K] what is read after each block, `longest` tokens at most."""
    for branches_K in greedy(grounding.backbone, prompts, longest, read=read):
        yield _decoded(grounding, branches_K)


def _decoded(grounding: Subject, tokens: Sequence[Sequence[int] | np.ndarray]) -> list[str]:
    ids = [[int(token) for token in each] for each in tokens]
    texts: list[str] = grounding.evaluator.tokenizer.batch_decode(ids, skip_special_tokens=True)
    return [text.strip() for text in texts]
