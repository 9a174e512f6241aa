"""Encoded examples on disk: flat arrays, opened as memory maps, written whole or not at all.

A folder holds, for R rows with S segments (question, answer and steps, in this order) of N tokens in all:
`tokens.npy` [N] int32; `ends.npy` [S] int64, where each segment ends in `tokens`; `first.npy` [R + 1] int64, the
first segment of each row; `text.npy` bytes of id, question and gold answer in UTF-8; `text_ends.npy` [3 R] int64;
and `meta.json` with the report and the digest of every array.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rim.data.errors import DataError
from rim.data.files import digest
from rim.data.order import stream_rows
from rim.data.report import Report

ARRAYS = {"tokens": np.int32, "ends": np.int64, "first": np.int64, "text": np.uint8, "text_ends": np.int64}
META = "meta.json"


class Longest(NamedTuple):
    """Most tokens of a question (with its end), of a step and of an answer."""

    question: int
    step: int
    answer: int


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """Token ids (int32) of the question with its end, of each step and of the answer; `text` is the question."""

    id: str
    question: np.ndarray
    steps: tuple[np.ndarray, ...]
    answer: np.ndarray
    gold: str
    text: str


class EncodedSplit:
    """Encoded examples of one source, read from disk as they are asked for.

    Pickles as the name of its folder, so loader processes share the pages of one memory map.
    `question_lengths` [R] tokens and `steps_counts` [R], both int64.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        encoded = sha256(json.dumps(meta["digests"], sort_keys=True).encode()).hexdigest()
        self.report = replace(Report(**meta["report"]), encoded=encoded)
        self.answer_rule: str = meta["answer_rule"]
        self.longest = Longest(*meta["longest"])
        self._tokens, self._ends, self._first, self._text, self._text_ends = (_open(folder, name) for name in ARRAYS)
        self.steps_counts = np.diff(self._first) - 2
        starts = np.concatenate([[0], self._ends])[self._first[:-1]]
        self.question_lengths = self._ends[self._first[:-1]] - starts

    def __len__(self) -> int:
        return len(self._first) - 1

    def __getitem__(self, row: int) -> EncodedExample:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} encoded examples of {self.report.source}")
        row = range(len(self))[row]
        first, last = self._first[row : row + 2].tolist()
        edges = [0, *self._ends[:last].tolist()] if first == 0 else self._ends[first - 1 : last].tolist()
        question, answer, *steps = [self._tokens[a:b] for a, b in pairwise(edges)]
        id, text, gold = self._texts(row)
        return EncodedExample(id, question, tuple(steps), answer, gold, text)

    def __reduce__(self) -> tuple[type["EncodedSplit"], tuple[Path]]:
        return EncodedSplit, (self.folder,)

    def chain_lengths(self, separator: int) -> np.ndarray:
        """[R] tokens of each row's steps, with `separator` more after every one of them, and of its answer."""
        lengths = np.diff(self._ends, prepend=0)
        whole: np.ndarray = np.add.reduceat(lengths, self._first[:-1])
        return whole - self.question_lengths + separator * self.steps_counts

    def rule_of(self, row: int) -> str:
        """Name of the rule by which answers to a row are graded."""
        return self.answer_rule

    def stream(self, start: int, stop: int, seed: tuple[int, ...]) -> np.ndarray:
        """Rows of the examples number `start` to `stop` of training."""
        return stream_rows(len(self), start, stop, seed)

    def _texts(self, row: int) -> list[str]:
        a = int(self._text_ends[3 * row - 1]) if row else 0
        b, c, d = self._text_ends[3 * row : 3 * row + 3].tolist()
        return [self._text[i:j].tobytes().decode() for i, j in ((a, b), (b, c), (c, d))]


class Writer:
    """Collects encoded examples and writes them as one folder."""

    def __init__(self) -> None:
        self.rows = 0
        # `ends`, `first` and `text_ends` hold lengths until `write` sums them up
        self._parts = {name: [np.zeros(0, dtype)] for name, dtype in ARRAYS.items()}

    def add(self, rows: Iterable[tuple[Sequence[str], Sequence[Sequence[int]]]]) -> None:
        """Append rows, each the texts (id, question, gold) and the segments (question, answer, steps...)."""
        texts: list[bytes] = []
        segments: list[Sequence[int]] = []
        counts: list[int] = []
        for three, own in rows:
            texts.extend(text.encode() for text in three)
            segments.extend(own)
            counts.append(len(own))
        self.rows += len(counts)
        self._append("tokens", [*chain.from_iterable(segments)])
        self._append("ends", [*map(len, segments)])
        self._append("first", counts)
        self._append("text", np.frombuffer(b"".join(texts), dtype=np.uint8))
        self._append("text_ends", [*map(len, texts)])

    def write(self, folder: Path, report: Report, answer_rule: str) -> None:
        """Make `folder`; another process that does the same at the same time is harmless.

        Raises:
            DataError: the folder cannot be written.
        """
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name[:16]}.", dir=folder.parent))
            try:
                self._fill(scratch, report, answer_rule)
                _install(scratch, folder)
            finally:
                for left in folder.parent.glob(f"{scratch.name}*"):
                    left.unlink() if left.is_file() else shutil.rmtree(left, ignore_errors=True)
        except OSError as error:
            raise DataError(
                f"encoded data cannot be written to {folder.parent} ({error.strerror or error}): free some space "
                f"there, or set data.cache=FOLDER to a folder that can be written"
            ) from error

    def _fill(self, folder: Path, report: Report, answer_rule: str) -> None:
        arrays = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        arrays["first"] = np.cumsum(np.append(0, arrays["first"]))
        longest = _longest(arrays["ends"], arrays["first"][:-1])
        for name in ("ends", "text_ends"):
            arrays[name] = np.cumsum(arrays[name])
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        meta = {"report": asdict(report), "answer_rule": answer_rule, "longest": longest}
        meta["digests"] = {name: _digest(folder, name) for name in ARRAYS}
        (folder / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")

    def _append(self, name: str, values: Any) -> None:
        self._parts[name].append(np.asarray(values, dtype=ARRAYS[name]))


def _longest(lengths_S: np.ndarray, first_R: np.ndarray) -> Longest:
    """By the lengths of all segments, and the first segment of each row."""
    steps = np.delete(lengths_S, np.append(first_R, first_R + 1))
    question, step, answer = (part.max(initial=0) for part in (lengths_S[first_R], steps, lengths_S[first_R + 1]))
    return Longest(int(question), int(step), int(answer))


def load(folder: Path) -> EncodedSplit | None:
    """The split in `folder`, or None where nothing is there or it is not whole, byte by byte."""
    try:
        digests = json.loads((folder / META).read_text(encoding="utf-8"))["digests"]
        if all(digests[name] == _digest(folder, name) for name in ARRAYS):
            return EncodedSplit(folder)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _install(scratch: Path, folder: Path) -> None:
    """Rename `scratch` to `folder`; what stands there is kept if it is whole and replaced if not."""
    for attempt in range(5):
        try:
            os.rename(scratch, folder)
            return
        except OSError:
            if load(folder) is not None:
                return
            with suppress(FileNotFoundError):  # another process may have moved it first
                os.rename(folder, folder.with_name(f"{scratch.name}.old{attempt}"))
    os.rename(scratch, folder)


def _open(folder: Path, name: str) -> np.ndarray:
    array: np.ndarray = np.load(folder / f"{name}.npy", mmap_mode="r").view(np.ndarray)
    return array


def _digest(folder: Path, name: str) -> str:
    return digest(folder / f"{name}.npy")
