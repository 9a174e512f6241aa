"""The table of tasks: names, splits, and what an import costs."""

import subprocess
import sys

import pytest

from rim.answers import RULES
from rim.config import Data
from rim.data.example import TASKS, DataError, parse_source, read, task


def test_every_task_keeps_its_promises() -> None:
    for name in TASKS:
        found = task(name)
        assert found.name == name and found.answer_rule in RULES
        assert set(found.test_splits) <= set(found.splits) and "test" in found.test_splits


def test_a_source_is_a_task_and_a_split() -> None:
    found, split = parse_source("gsm8k_aug/validation")
    assert (found.name, split) == ("gsm8k_aug", "validation")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gsm8k", "source 'gsm8k' names no split: write task/split, such as gsm8k/train"),
        ("", "source '' names no split: write task/split, such as gsm8k/test"),
        (
            "gsm8k/validation",
            "unknown split 'validation' of task 'gsm8k': there are gsm8k/train, gsm8k/test",
        ),
        (
            "gsm8k_aug/valid",
            "unknown split 'valid' of task 'gsm8k_aug' (did you mean 'validation'?): "
            "there are gsm8k_aug/train, gsm8k_aug/validation, gsm8k_aug/test",
        ),
        (
            "gsmhard/test",
            "unknown task 'gsmhard' (did you mean 'gsm_hard'?): "
            "the tasks are arithmetic, gsm8k, gsm8k_aug, gsm_hard, tracking",
        ),
        ("zzz/test", "unknown task 'zzz': the tasks are arithmetic, gsm8k, gsm8k_aug, gsm_hard, tracking"),
    ],
)
def test_a_wrong_source_names_the_right_ones(source: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(source, Data())
    assert str(caught.value) == message


def test_names_are_checked_without_heavy_imports() -> None:
    code = (
        "import sys; from rim.data.example import parse_source, TASKS\n"
        "[parse_source(name + '/test') for name in TASKS]\n"
        "print([name for name in ('torch', 'datasets', 'transformers', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
