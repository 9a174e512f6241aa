"""How long a user waits: time to the first token of the answer and to its end, with the passes that it takes.

Of plain decoding all numbers come from the same runs. In fixed shapes (`rim.backbone.fast`) the answers are the same,
and so the counts are those of plain decoding; times are of calls of their own, after all of it has been prepared.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, median
from typing import Any

import numpy as np
import torch

from rim.backbone.backbone import Backbone
from rim.backbone.decode import greedy
from rim.backbone.fast import decoder
from rim.base.files import write_json
from rim.data.encode import EncodedExample, EncodedSplit
from rim.data.prepare import prepare_tests
from rim.evaluation.device import scoring_device
from rim.evaluation.evaluator import Evaluator
from rim.evaluation.lengths import Lengths
from rim.evaluation.waiting import Asked, Wait
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.runs.environment import hardware
from rim.runs.folder import RunFolder

LATENCY = "latency.json"
PREPARING = 3
"""Rounds before those that count, where shapes are fixed: compiled on a GPU, a pass is compiled and run in the first,
recorded in the second, and replayed from the third on."""


@dataclass(frozen=True)
class Times:
    """Milliseconds over questions, of each the median of its repeats: mean, and 10th and 90th percentile."""

    mean: float
    p10: float
    p90: float


@dataclass(frozen=True)
class Latency:
    """Latency and work of answering; counts are means over questions.

    A pass is one call of the backbone and a position one place of one of its inputs (padding included, where questions
    share a batch). `prefill_passes` come before the first generated token, `passes_to_first` before the answer's
    first one, with `positions_to_first`; in a batch the last of its questions decides. `tokens` are all
    generated ones: the answer, a chain of thought before it, and the end token.
    """

    first_ms: Times
    full_ms: Times
    prefill_passes: float
    passes_to_first: float
    passes: float
    positions_to_first: float
    positions: float
    tokens: float
    questions: int
    repeats: int
    batch_size: int
    max_new_tokens: int
    threads: int
    device: str
    dtype: str
    decode: str


def measure(
    backbone: Backbone,
    method: Method,
    split: EncodedSplit,
    max_new_tokens: int,
    questions: int = 32,
    warmup: int = 4,
    repeats: int = 3,
    batch_size: int = 1,
    decode: str = "plain",
) -> Latency:
    """Answer some questions of a split under the clock, in the model's own precision and without gradients.

    Args:
        max_new_tokens: longest answer, in tokens.
        questions: rows of the split, at even distances; at most all of them.
        warmup: batches that are answered plainly first and not counted.
        repeats: times that every question is answered; the rounds follow each other, so that a slow spell of the
            machine does not fall on one question.
        batch_size: questions that are answered together.
        decode: way of decoding. Another than plain answers all batches `PREPARING` times before it is timed, so that
            every shape has been prepared.

    Raises:
        DecodeError: there is no such way of decoding, or not here.
    """
    examples = [split[row] for row in evenly(len(split), questions)]
    batches = [examples[start : start + batch_size] for start in range(0, len(examples), batch_size)]
    backbone.eval()
    asked = Asked(backbone, method, decoder(decode))
    for index in range(warmup):
        asked.watched(batches[index % len(batches)], max_new_tokens)
    return Latency(
        **_summary(list(zip(*_rounds(asked, batches, max_new_tokens, repeats), strict=True))),
        questions=len(examples),
        repeats=repeats,
        batch_size=batch_size,
        max_new_tokens=max_new_tokens,
        threads=torch.get_num_threads(),
        device=_device_name(backbone.device),
        dtype=str(backbone.model.dtype).removeprefix("torch."),
        decode=decode,
    )


def _rounds(
    asked: Asked, batches: Sequence[Sequence[EncodedExample]], max_new_tokens: int, repeats: int
) -> list[list[Wait]]:
    if asked.decode is greedy:
        return [[asked.watched(batch, max_new_tokens) for batch in batches] for _ in range(repeats)]
    plain = [asked.watched(batch, max_new_tokens) for batch in batches]
    rounds = [
        [_timed(asked, *each, max_new_tokens) for each in zip(batches, plain, strict=True)]
        for _ in range(PREPARING + repeats)
    ]
    return rounds[PREPARING:]


def _timed(asked: Asked, batch: Sequence[EncodedExample], plain: Wait, max_new_tokens: int) -> Wait:
    """The counts of plain decoding with times of calls of their own: nobody can look into a pass that is compiled."""
    to_first = plain.passes_to_first - plain.prefill_passes + 1
    return replace(plain, first=asked.seconds(batch, to_first), full=asked.seconds(batch, max_new_tokens))


def latency_of_run(folder: RunFolder, decode: str | None = None) -> dict[str, Any]:
    """The latency of a run's final pick, from its `latency.json`, or measured on its first test set and written there.

    The threads are those of this process (`environment.use_threads`).

    Args:
        decode: way of decoding; None: the run's own. Another than the file's is measured anew.

    Raises:
        UserError: there is no such run or way of decoding, or no weights have been chosen.
    """
    known = folder.read(LATENCY)
    if known is not None and decode in (None, known.get("decode", "plain")):
        return known
    config = folder.config()
    source, decode = config.data.test[0], decode or config.evaluation.decode
    backbone, about = folder.load_backbone()
    backbone = backbone.to(scoring_device(config.training.accelerator))
    split = prepare_tests(replace(config.data, test=[source]), backbone.tokenizer)[source]
    method = build_method(config, backbone.tokenizer)
    lengths = Lengths(**folder.read("lengths.json")).as_set(config.evaluation)
    longest = Evaluator(method, backbone.tokenizer, lengths).max_new_tokens()
    latency = measure(backbone, method, split, longest, decode=decode)
    facts = {"source": source, "weights": about["name"], **asdict(latency), "hardware": hardware()}
    write_json(folder.path / LATENCY, facts)
    return facts


def _summary(runs: Sequence[Sequence[Wait]]) -> dict[str, Any]:
    """Fields of `Latency` from the repeats of every batch; each question counts with its batch's times and passes."""
    of_questions = [repeats for repeats in runs for _ in repeats[0].tokens]
    counts = ("prefill_passes", "passes_to_first", "passes", "positions_to_first", "positions")
    return {
        "first_ms": _times([median(run.first for run in repeats) for repeats in of_questions]),
        "full_ms": _times([median(run.full for run in repeats) for repeats in of_questions]),
        **{name: fmean(getattr(repeats[0], name) for repeats in of_questions) for name in counts},
        "tokens": fmean(tokens for repeats in runs for tokens in repeats[0].tokens),
    }


def _times(seconds: Sequence[float]) -> Times:
    low, high = np.percentile(seconds, [10, 90])
    return Times(1e3 * fmean(seconds), 1e3 * float(low), 1e3 * float(high))


def evenly(rows: int, wanted: int) -> list[int]:
    """At most `wanted` rows at even distances, from the first on."""
    count = min(rows, wanted)
    return [index * rows // count for index in range(count)]


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
