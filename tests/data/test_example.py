"""The table of tasks: names, splits, and what an import costs."""

import subprocess
import sys
from typing import get_args, get_type_hints

import pytest

from rim.data.answers import RULES
from rim.data.errors import DataError
from rim.data.registry import TASKS, parse_source, task
from rim.settings import Data
from tests.data.reading import read

FORMS = set(get_args(get_type_hints(Data)["steps"]))


def test_every_task_keeps_its_promises() -> None:
    for name in TASKS:
        found = task(name)
        assert found.name == name and found.answer_rule in RULES
        assert set(found.test_splits) <= set(found.splits)
        assert found.test_splits or name == "strategyqa", "its official test labels are not public"
        assert set(found.forms) <= FORMS


def test_a_source_is_a_task_and_a_split() -> None:
    found = parse_source("gsm8k_aug/validation", Data())
    assert (found.task.name, found.split, found.form, found.closed) == ("gsm8k_aug", "validation", "equations", "")
    assert str(found) == "gsm8k_aug/validation" and parse_source("gsm8k_aug/test", Data()).closed
    assert parse_source("svamp/test", Data(steps="sentences")).form == "equations", "the task's first form"
    assert parse_source("logiqa/test", Data()).form == "", "it has no steps"


OWN_MODULE = "; one of your own is a Python file that data.modules=[FILE] names"


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
            f"unknown task 'gsmhard' (did you mean 'gsm_hard'?): the tasks are {', '.join(TASKS)}{OWN_MODULE}",
        ),
        ("zzz/test", f"unknown task 'zzz': the tasks are {', '.join(TASKS)}{OWN_MODULE}"),
        (
            "own/test",
            f"unknown task 'own': the tasks are {', '.join(TASKS)}; name its files: data.own.train=FILE, "
            "data.own.validation=FILE, data.own.test=FILE",
        ),
    ],
)
def test_a_wrong_source_names_the_right_ones(source: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(source, Data())
    assert str(caught.value) == message


def test_names_are_checked_without_heavy_imports() -> None:
    code = (
        "import sys; from rim.data.registry import task, TASKS\n"
        "[task(name) for name in TASKS]\n"
        "print([name for name in ('torch', 'datasets', 'transformers', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
