"""How long a user waits: time to the first token of the answer and to its end, with the passes that it takes.

Measured as a model would be deployed: only the final answer is decoded. Time runs from the tokens of the question, with
the making of the prompt, to the answer's tokens as numbers. All numbers come from the same runs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from statistics import fmean, median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rim.backbone.backbone import Backbone
from rim.backbone.decode import Prompt
from rim.data.encode import EncodedExample, EncodedSplit
from rim.data.prepare import prepare_tests
from rim.environment import hardware
from rim.evaluation.device import scoring_device
from rim.evaluation.evaluator import Evaluator, Lengths
from rim.files import write_json
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.runs import RunFolder

LATENCY = "latency.json"


@dataclass(frozen=True)
class Times:
    """Milliseconds over questions, of each the median of its repeats: mean, and 10th and 90th percentile."""

    mean: float
    p10: float
    p90: float


@dataclass(frozen=True)
class Latency:
    """Waiting times and work of answering; counts are means over questions.

    A pass is one call of the backbone and a position one place of one of its inputs (padding included, where questions
    share a batch). `prefill_passes` come before the first generated token, `passes_to_first` before the answer's
    first one, with `positions_to_first`; in a batch the last of its questions decides. `tokens` are all
    generated ones: the answer, a written chain before it, and the end token.
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

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)


@dataclass(frozen=True)
class _Run:
    """One batch answered once: what `Latency` tells of it, `tokens` by question, times in seconds."""

    first: float
    full: float
    prefill_passes: int
    passes_to_first: int
    passes: int
    positions_to_first: int
    positions: int
    tokens: tuple[int, ...]


def measure(
    backbone: Backbone,
    method: Method,
    split: EncodedSplit,
    max_new_tokens: int,
    questions: int = 32,
    warmup: int = 4,
    repeats: int = 3,
    batch_size: int = 1,
) -> Latency:
    """Answer some questions of a split under the clock, in the model's own precision and without gradients.

    Args:
        max_new_tokens: longest answer, in tokens.
        questions: rows of the split, at even distances; at most all of them.
        warmup: batches that are answered first and not counted.
        repeats: times that every question is answered; the rounds follow each other, so that a slow spell of the
            machine does not fall on one question.
        batch_size: questions that are answered together.
    """
    examples = [split[row] for row in _spread(len(split), questions)]
    batches = [examples[start : start + batch_size] for start in range(0, len(examples), batch_size)]
    backbone.eval()
    answer = lambda batch: _answer(backbone, method, batch, max_new_tokens)  # noqa: E731
    for index in range(warmup):
        answer(batches[index % len(batches)])
    rounds = [[answer(batch) for batch in batches] for _ in range(repeats)]
    return Latency(
        **_summary(list(zip(*rounds, strict=True))),
        questions=len(examples),
        repeats=repeats,
        batch_size=batch_size,
        max_new_tokens=max_new_tokens,
        threads=torch.get_num_threads(),
        device=_device_name(backbone.device),
        dtype=str(backbone.model.dtype).removeprefix("torch."),
    )


def latency_of_run(folder: RunFolder, source: str | None = None) -> dict[str, Any]:
    """The waiting times of a run's final pick, from its `latency.json`, or measured now and written there.

    The threads are those of this process (`environment.use_threads`).

    Args:
        source: test source to ask; None: the run's first one. Another than the file's is measured anew.

    Raises:
        UserError: there is no such run or source, or no weights have been chosen.
    """
    known = folder.read(LATENCY)
    if known is not None and source in (None, known["source"]):
        return known
    config = folder.config()
    source = source or config.data.test[0]
    backbone, about = folder.load_backbone()
    backbone = backbone.to(scoring_device(config.training.accelerator))
    split = prepare_tests(replace(config.data, test=[source]), backbone.tokenizer)[source]
    method = build_method(config, backbone.tokenizer)
    lengths = Lengths.of(**folder.read("lengths.json"), settings=config.evaluation)
    latency = measure(backbone, method, split, Evaluator(method, backbone.tokenizer, lengths).max_new_tokens())
    facts = {"source": source, "weights": about["name"], **latency.to_json(), "hardware": hardware()}
    write_json(folder.path / LATENCY, facts)
    return facts


def _answer(backbone: Backbone, method: Method, batch: Sequence[EncodedExample], max_new_tokens: int) -> _Run:
    """Answer a batch once and take its run apart.

    The decode loop feeds every generated token but the last, so the passes beyond those came before the first token.
    """
    with _watched(backbone) as passes:
        begin = _now(backbone.device)
        prompts = [_last_answer(method.prompt(example)) for example in batch]
        with torch.no_grad(), torch.autocast(backbone.device.type, enabled=False):
            answers = method.answer(backbone, prompts, max_new_tokens)
        end = _now(backbone.device)
    texts = [branches[-1] for branches in answers]
    tokens = tuple(min(len(text) + 1, max_new_tokens) for text in texts)
    prefill = len(passes) - (max(tokens) - 1)
    first = min(len(passes), prefill + max(method.answer_begins(text) for text in texts))
    times, positions = zip(*passes, strict=True)
    return _Run(
        first=times[first - 1] - begin,
        full=end - begin,
        prefill_passes=prefill,
        passes_to_first=first,
        passes=len(passes),
        positions_to_first=sum(positions[:first]),
        positions=sum(positions),
        tokens=tokens,
    )


def _last_answer(prompt: Prompt) -> Prompt:
    """The prompt of the final answer alone, without what only earlier ones read."""
    trunk, branches = prompt.trunk.pruned_to(prompt.branches[-1:])
    return replace(prompt, trunk=trunk, branches=branches)


@contextmanager
def _watched(backbone: Backbone) -> Iterator[list[tuple[float, int]]]:
    """Collects (time of its end, positions of each input) of every pass inside the block."""
    passes: list[tuple[float, int]] = []

    def note(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any], __: Any) -> None:
        inputs = next(value for value in (*args, *named.values()) if isinstance(value, Tensor))
        passes.append((_now(backbone.device), inputs.shape[1]))

    handle = backbone.register_forward_hook(note, with_kwargs=True)
    try:
        yield passes
    finally:
        handle.remove()


def _now(device: torch.device) -> float:
    """Seconds, once all work of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()


def _summary(runs: Sequence[Sequence[_Run]]) -> dict[str, Any]:
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


def _spread(rows: int, wanted: int) -> list[int]:
    """At most `wanted` rows at even distances, from the first on."""
    count = min(rows, wanted)
    return [index * rows // count for index in range(count)]


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
