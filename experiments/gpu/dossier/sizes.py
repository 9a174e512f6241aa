"""What is measured at full size on a GPU, and the tiny shapes of a dry run."""

from collections.abc import Sequence
from dataclasses import dataclass

from dossier.report import Task


@dataclass(frozen=True)
class Size:
    """How much of each step is measured, and on what.

    `answering` and `trained` name shapes. `bench`, `training` and `arithmetic` are overrides, `together` numbers of
    questions. `fixed` is the way of decoding that is measured beside plain, and `beside` the one whose tokens it must
    give; `rounds` are those of a benchmark. At least `least_updates` are timed, for `update_seconds` at least.
    `equalities` and `waits` are arguments of pytest.
    """

    answering: Sequence[str]
    bench: Sequence[str]
    together: Sequence[int]
    fixed: str
    beside: str
    rounds: int
    compiled: bool
    training: Sequence[str]
    trained: Sequence[str]
    lora_rank: int
    least_updates: int
    update_seconds: float
    arithmetic: Sequence[str]
    most_updates: int
    equalities: Sequence[str]
    waits: Sequence[str]


TESTS = "tests/device/"
FULL = Size(
    answering=("llama_1b", "gpt2", "llama_3b"),
    bench=("dtype=bf16",),
    together=(8, 32),
    fixed="graph",
    beside="static",
    rounds=7,
    compiled=True,
    training=("data.workers=4",),
    trained=("gpt2", "llama_1b", "llama_3b"),
    lora_rank=128,
    least_updates=3,
    update_seconds=4.0,
    arithmetic=(
        *("backbone.scratch.shape=gpt2", "backbone.scratch.layers=12", "backbone.scratch.width=768"),
        *("backbone.scratch.heads=12", "backbone.scratch.feedforward=3072", "training.precision=bf16"),
        *("data.arithmetic.train_rows=60000", "data.workers=4", "training.batch_size=64", "evaluation.batch_size=256"),
    ),
    most_updates=20_000,
    equalities=(f"{TESTS}test_equalities.py", f"{TESTS}test_second_device.py", f"{TESTS}test_compiled.py"),
    waits=(f"{TESTS}test_one_process.py", f"{TESTS}test_waits.py"),
)
_SMALL = (
    *("backbone.scratch.layers=2", "backbone.scratch.width=32", "backbone.scratch.heads=2"),
    *("backbone.scratch.feedforward=64", "backbone.scratch.vocabulary=400", "data.train_rows=64", "data.test_rows=40"),
)
DRY = Size(
    answering=("llama_1b", "gpt2"),
    bench=(*_SMALL, "backbone.scratch.key_value_heads=null", "vocabulary=500", "dtype=fp32", "device=cpu"),
    together=(2,),
    fixed="static",
    beside="plain",
    rounds=1,
    compiled=False,
    training=("training.accelerator=cpu", "training.batch_size=4", "data.validation_rows=4", "data.workers=1"),
    trained=("gpt2",),
    lora_rank=2,
    least_updates=1,
    update_seconds=0.0,
    arithmetic=(
        *_SMALL[:4],
        *("backbone.scratch.shape=gpt2", "backbone.scratch.vocabulary=300", "training.accelerator=cpu"),
        *("data.arithmetic.train_rows=200", "data.arithmetic.test_rows=20", "data.validation_rows=8"),
        *("training.batch_size=4", "training.threads=1"),
    ),
    most_updates=4,
    equalities=(f"{TESTS}test_equalities.py", "-k", "packed and gpt2 or random_weights and lora"),
    waits=(f"{TESTS}test_waits.py", "-k", "answer"),
)


def size_of(task: Task) -> Size:
    """The size that a task asks for."""
    return DRY if task.cpu else FULL
