"""The benchmarks of conf/bench in the dossier's shapes, with the entries that it measures."""

from collections.abc import Sequence
from functools import cached_property

from dossier.report import Task
from dossier.sizes import Size
from rim.studies.benchmark.settings import Benchmark, load_benchmark

ENTRIES = {"direct": "direct", "rim": "memory_blocks", "coconut": "coconut", "cot": "cot"}
"""Methods by the names of entries."""
_LISTED = ", ".join(f"{{name: {name}, overrides: [method.name={method}]}}" for name, method in ENTRIES.items())
_SETTINGS = (f"entries=[{_LISTED}]", "decode=[plain]", "batch_sizes=[1,8,32]", "questions=8")


def benchmark(task: Task, shape: str, more: Sequence[str]) -> Benchmark:
    """A shape's settings, whose questions are GSM8K's.

    Raises:
        RuntimeError: there are no rows of GSM8K.
    """
    data = (f"root={task.rows()}", f"data.cache={task.work / 'cache'}")
    return load_benchmark([f"conf/bench/{shape}.yaml"], [*_SETTINGS, *data, *more])


class Shape:
    """A shape of the benchmark, whose settings are read when they are first needed."""

    def __init__(self, task: Task, size: Size, shape: str) -> None:
        self.task, self.size, self.shape = task, size, shape

    @cached_property
    def bench(self) -> Benchmark:
        """The settings of the shape."""
        return benchmark(self.task, self.shape, self.size.bench)
