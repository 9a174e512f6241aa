"""Every reader on a few rows in its publisher's form, and on the shapes that real copies of that form have."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rim.data.choices import without_labels
from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.files import clean
from rim.data.registry import TASKS, task
from rim.settings import Data
from tests.data.reading import read
from tests.data.samples import SAMPLES, Sample, array, lines

GENERATED = {"arithmetic", "tracking", "gsm8k_renumbered"}
NAMES = [f"{sample.source}-{sample.form}" for sample in SAMPLES]


def test_every_published_task_has_a_sample() -> None:
    assert {sample.source.split("/")[0] for sample in SAMPLES} == set(TASKS) - GENERATED


def settings(sample: Sample, root: Path) -> Data:
    return Data(root=str(root), steps=sample.form)  # type: ignore[arg-type]


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_a_row_is_read_as_it_was_written(sample: Sample, tmp_path: Path) -> None:
    path = sample.write(tmp_path)
    reading = read(sample.source, settings(sample, tmp_path))
    assert tuple(reading.examples) == sample.examples
    assert reading.read == len(sample.examples) and reading.dropped == {}
    assert reading.origin.startswith(f"{path}, sha256 ") and len(reading.origin.split()[-1]) == 64
    name, split = sample.source.split("/")
    assert task(name).fingerprint(split, settings(sample, tmp_path)) == reading.origin.split()[-1]


def wrapped(sample: Sample) -> str:
    """An array of rows for a file of rows on lines, and the other way round."""
    if sample.text.startswith("["):
        return lines(*json.loads(sample.text))
    if sample.text.startswith('{"') and not sample.file.endswith(".csv"):
        return array(*map(json.loads, sample.text.splitlines()))
    return sample.text


def escaped(text: str) -> str:
    """A JSON text in ASCII."""
    return "".join(sign if ord(sign) < 128 else f"\\u{ord(sign):04x}" for sign in text)


SHAPES: dict[str, Callable[[Sample], str]] = {
    "windows line ends": lambda sample: sample.text.replace("\n", "\r\n"),
    "byte order mark": lambda sample: "\ufeff" + sample.text,
    "both": lambda sample: "\ufeff" + sample.text.replace("\n", "\r\n"),
    "no line end at the end": lambda sample: sample.text.rstrip("\n"),
    "empty lines at the end": lambda sample: sample.text + "\n\r\n\n",
    "other spacing of JSON": lambda sample: sample.text.replace('": ', '" :  '),
    "texts escaped": lambda sample: escaped(sample.text) if sample.text[0] in "[{" else sample.text,
    "rows in an array, or on lines": wrapped,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_copies_in_other_shapes_read_alike(sample: Sample, shape: str, tmp_path: Path) -> None:
    sample.write(tmp_path, SHAPES[shape](sample).encode())
    assert tuple(read(sample.source, settings(sample, tmp_path)).examples) == sample.examples


@pytest.mark.parametrize("inside", ["\u2028", "\u0085", "\u00a0", "\u2212"])
@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_odd_characters_stay_in_a_question_and_cut_no_row(sample: Sample, inside: str, tmp_path: Path) -> None:
    first = sample.examples[0].question[:4]

    def odd(text: str) -> str:
        return text.replace(first, first[:2] + inside + first[2:])

    sample.write(tmp_path, odd(sample.text).encode())
    wanted = [
        Example(example.id, odd(example.question), tuple(map(odd, example.steps)), odd(example.answer))
        for example in sample.examples
    ]
    assert read(sample.source, settings(sample, tmp_path)).examples == wanted


@pytest.mark.parametrize("around", ["\u00a0", "\u2028", "  "])
def test_spaces_around_a_text_are_no_part_of_it(around: str) -> None:
    assert clean(f"{around}a{around}b\r\nc{around}") == f"a{around}b\nc"


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["A.x", "B.y"], ["x", "y"]),
        (["(a) x", "(b) y"], ["x", "y"]),
        (["\uff08A\uff09x", "\uff08B\uff09\u3000y"], ["x", "y"]),
        (["A\u3001x", "B\u3001y"], ["x", "y"]),
        (["A. x", "y"], ["A. x", "y"]),
        (["B. x", "A. y"], ["B. x", "A. y"]),
        (["A) A only", "B) both"], ["A only", "both"]),
        (["A.", "B.", "C."], ["A.", "B.", "C."]),
        (["A", "B", "C"], ["A", "B", "C"]),
    ],
)
def test_labels_are_taken_off_where_they_are_labels(options: list[str], texts: list[str]) -> None:
    assert without_labels(options) == texts


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_a_broken_file_is_named(sample: Sample, tmp_path: Path) -> None:
    for data, part in ((b"", "is empty"), (sample.text.encode() + b"\xff", "is not UTF-8; data files are UTF-8")):
        path = sample.write(tmp_path, data)
        with pytest.raises(DataError) as caught:
            read(sample.source, settings(sample, tmp_path))
        assert str(path) in str(caught.value) and part in str(caught.value)
