"""Questions, and how long the answers to them are: the tokens of the data's own chains and answers.

A model with random weights would write texts of random lengths, and a trained one texts of its own. So nothing ends an
answer here but its number of tokens: that of the steps, the mark and the answer that stand in the data for this very
question, and the end token. Every method that writes no chain generates the same tokens.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from rim.backbone.backbone import Backbone
from rim.backbone.load import load_backbone, run_tokenizer
from rim.backbone.pretrained import DTYPES
from rim.backbone.tokenizer import Slots, add_memory_tokens
from rim.base.errors import UserError
from rim.data.encode import EncodedExample, EncodedSplit
from rim.data.prepare import prepare_tests, training_texts
from rim.evaluation.device import scoring_device
from rim.evaluation.latency import evenly
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings import Config
from rim.studies.benchmark.settings import Benchmark

TEXTS = 5_000
"""Training rows that a tokenizer of a model from scratch is built from."""


class BenchmarkError(UserError):
    """A benchmark that cannot be made as it is asked for."""


@dataclass(frozen=True)
class Tokens:
    """How many tokens are generated: up to the first one of the answer, with it, and up to the end."""

    first: int
    full: int


@dataclass(frozen=True)
class Job:
    """An entry that is ready to be asked; `examples` are the same questions for all entries."""

    name: str
    method: Method
    backbone: Backbone
    examples: tuple[EncodedExample, ...]

    def asked(self, batch: Sequence[int]) -> list[EncodedExample]:
        return [self.examples[row] for row in batch]

    def tokens(self, batch: Sequence[int]) -> Tokens:
        """Of these questions, answered together: the longest of them decides."""
        each = [tokens_of(self.method, self.examples[row]) for row in batch]
        return Tokens(max(own.first for own in each), max(own.full for own in each))


def tokens_of(method: Method, example: EncodedExample) -> Tokens:
    """The lengths that stand in the data."""
    chain = 0
    if method.writes_chain():
        chain = sum(len(step) + len(method.separator) for step in example.steps) + len(method.answer_mark)
    return Tokens(chain + 1, chain + len(example.answer) + 1)


def batches(bench: Benchmark, size: int) -> list[list[int]]:
    """Questions by batch: all that are asked, in whole batches, and at least one."""
    count = max(1, bench.questions // size)
    return [list(range(start * size, (start + 1) * size)) for start in range(count)]


def build(bench: Benchmark) -> list[Job]:
    """One model, and every entry's method, modules and questions.

    Raises:
        UserError: data, tokenizer or model are not to be had, there are fewer questions than a batch needs, or entries
            would be asked different ones.
    """
    configs = {entry.name: bench.config(entry) for entry in bench.entries}
    first = next(iter(configs.values()))
    tokenizer = run_tokenizer(first, lambda: training_texts(first.data, TEXTS))
    for config in configs.values():
        add_memory_tokens(tokenizer, Slots.of(config))
    model = _model(bench, first, tokenizer)
    plain = Backbone(model.model, model.tokenizer, replace(model.special, end=-1))  # no token ends an answer
    jobs = [_job(bench, name, config, plain) for name, config in configs.items()]
    for job in jobs[1:]:
        _check_same_questions(jobs[0], job)
    return jobs


def device_of(bench: Benchmark) -> torch.device:
    """Where the model runs.

    Raises:
        BenchmarkError: a GPU is asked for and there is none.
    """
    found = scoring_device(bench.device)
    if bench.device == "gpu" and found.type != "cuda":
        raise BenchmarkError("device = 'gpu': there is no GPU that torch can use; set device=cpu")
    return found


def _model(bench: Benchmark, config: Config, tokenizer: object) -> Backbone:
    if bench.vocabulary is not None and config.backbone.training == "lora":
        raise BenchmarkError(
            f"vocabulary = {bench.vocabulary}: adapters keep the rows that there are; set backbone.training=full"
        )
    device, random = device_of(bench), config.backbone.source == "scratch"
    with drawn_on(device) if random else nullcontext():
        backbone = load_backbone(config.backbone, tokenizer, config.run.seed)  # type: ignore[arg-type]
    if bench.vocabulary is not None:
        widen(backbone, bench.vocabulary)
    return backbone.to(DTYPES[bench.dtype]).to(device).eval()


@contextmanager
def drawn_on(device: torch.device) -> Iterator[None]:
    """Random weights of a backbone that is loaded inside the block are drawn on a device.

    Drawing three billion numbers takes most of a minute in main memory, and less than a second on a GPU. The same seed
    gives other numbers there.
    """
    with device, _Carried(device):
        yield


class _Carried(TorchFunctionMode):
    """Numbers of a generator, which belongs to main memory, are drawn there and carried to the device."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.randn and kwargs and "generator" in kwargs:
            return func(*args, **{**kwargs, "device": "cpu"}).to(self.device)
        return func(*args, **(kwargs or {}))


def widen(backbone: Backbone, rows: int) -> None:
    """Give the embedding matrices as many rows as are asked for.

    Raises:
        BenchmarkError: the tokenizer has more entries.
    """
    least = len(backbone.tokenizer)
    if rows < least:
        raise BenchmarkError(f"vocabulary = {rows}: the tokenizer has {least} entries; set at least as many")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone.model.resize_token_embeddings(rows, mean_resizing=False)


def _job(bench: Benchmark, name: str, config: Config, plain: Backbone) -> Job:
    method = build_method(config, plain.tokenizer)
    equipped = Backbone(plain.model, plain.tokenizer, plain.special)
    method.add_modules(equipped)
    equipped.extra.to(plain.device, plain.model.dtype)
    source = bench.source or config.data.test[0]
    split = prepare_tests(replace(config.data, test=[source]), plain.tokenizer)[source]
    return Job(name, method, equipped if len(equipped.extra) else plain, _questions(bench, split, source))


def _check_same_questions(first: Job, other: Job) -> None:
    for own, theirs in zip(first.examples, other.examples, strict=True):
        if (own.id, own.text) != (theirs.id, theirs.text):
            raise BenchmarkError(
                f"entry '{first.name}' is asked '{own.id}', and '{other.name}' '{theirs.id}', or the same row in other "
                "words: times of different questions do not compare. Set what is asked (source, root, data.*) for all "
                "entries, in overrides of the benchmark"
            )


def _questions(bench: Benchmark, split: EncodedSplit, source: str) -> tuple[EncodedExample, ...]:
    """Rows at even distances, as many as the largest batch or a round takes."""
    count, rows = max(bench.questions, *bench.batch_sizes), len(split)
    if count > rows:
        raise BenchmarkError(
            f"{source} has {rows} questions, and {count} are to be asked (questions = {bench.questions}, batch_sizes = "
            f"{bench.batch_sizes}): lower them, or name another source"
        )
    return tuple(split[row] for row in evenly(rows, count))
