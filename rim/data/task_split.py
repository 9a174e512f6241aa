"""A split of a task, the source of examples that settings write as `gsm8k/train`."""

from dataclasses import dataclass

from rim.data.example import Reading, Task
from rim.settings import Data


@dataclass(frozen=True)
class TaskSplit:
    """A split of a task, and the form in which its steps are read; no form: the task has no steps."""

    task: Task
    split: str
    form: str

    def __str__(self) -> str:
        return f"{self.task.name}/{self.split}"

    @property
    def closed(self) -> str:
        """Why it may neither train nor choose a checkpoint, and what may; empty: it may do both."""
        tests = self.task.test_splits
        if self.split not in tests:
            return ""
        others = ", ".join(f"{self.task.name}/{other}" for other in self.task.splits if other not in tests)
        use = f"use one of {others}" if others else "use another task"
        return f"{self} is a test split, which neither trains nor chooses a checkpoint; {use}"

    def read(self, config: Data) -> Reading:
        """Its examples.

        Raises:
            DataError: data that is missing or broken.
        """
        return self.task.read(self.split, config)

    def fingerprint(self, config: Data) -> str:
        """A sha256 that changes whenever its examples do."""
        return self.task.fingerprint(self.split, config)

    def origin(self, config: Data) -> str:
        """Where its rows are found now, without reading them; empty: not known before."""
        return self.task.origin(self.split, config)
