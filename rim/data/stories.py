"""Rows of a generated task: any number of them, each a function of its seed, split and place, with disjoint splits.

A story's text decides which split it may stand in: its hash falls into one of `BUCKETS`, and each bucket belongs to
one split. No story of train is therefore in validation or test, whatever the seed, the sizes and the order. The
out-of-distribution split draws from the bucket of test, with more steps than the others have.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b, sha256
from random import Random

from rim.data.counterfactual import Solver
from rim.data.errors import DataError
from rim.data.example import Example, Reading, Task, form_in
from rim.data.steps import WRITTEN
from rim.settings import Arithmetic, Data, Tracking

BUCKETS = ("validation", "test", "train", "train", "train", "train", "train", "train")
SPLITS = ("train", "validation", "test", "ood")
TRIES = 10_000
"""Stories drawn for one row before the space of stories is called too small."""

ROOM = {"tracking": "more people, or min_steps larger", "arithmetic": "max_number, max_value or min_steps larger"}

Options = Tracking | Arithmetic


@dataclass(frozen=True, slots=True)
class Story:
    """A question, its steps in every form of `data.steps`, and its answer."""

    question: str
    equations: tuple[str, ...]
    sentences: tuple[str, ...]
    results: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Generator:
    """A generated task: `draw(random, steps, options)` makes a story, `check(options)` refuses senseless options, and
    `solver` reads its questions.

    `version` changes with every change of the stories: it is part of their seed and of their fingerprint.
    """

    name: str
    version: int
    answer_rule: str
    draw: Callable[[Random, int, Options], Story]
    check: Callable[[Options], None]
    solver: Solver

    def task(self) -> Task:
        """The task that reads these stories."""
        tests, solver = ("test", "ood"), self.solver
        return Task(self.name, SPLITS, tests, self.answer_rule, self.read, self.fingerprint, WRITTEN, solver=solver)

    def read(self, split: str, config: Data) -> Reading:
        """The rows of a split; row i is the same whatever the number of rows."""
        options = self._options(split, config)
        form = form_in(WRITTEN, config.steps)
        examples = [
            Example(f"{self.name}/{split}/{row}", story.question, getattr(story, form), story.answer)
            for row, story in enumerate(self.stories(split, options))
        ]
        return Reading(examples, read=len(examples))

    def stories(self, split: str, options: Options) -> Iterator[Story]:
        """Stories of a split, their numbers of steps in turn; all but those of train are different."""
        fewest, most = options.min_steps, options.max_steps
        if split == "ood":
            fewest, most = options.max_steps + 1, options.ood_steps
        seen = set[str]()
        for row in range(rows(split, options)):
            random = Random(f"{self.name} {self.version} {options.seed} {split} {row}")
            yield self._row(random, fewest + row % (most - fewest + 1), split, options, seen)

    def fingerprint(self, split: str, config: Data) -> str:
        """sha256 of everything that the stories depend on."""
        options = asdict(self._options(split, config))
        train_rows, test_rows = options.pop("train_rows"), options.pop("test_rows")
        options["rows"] = train_rows if split == "train" else test_rows
        return sha256(json.dumps([self.name, self.version, split, BUCKETS, options]).encode()).hexdigest()

    def _options(self, split: str, config: Data) -> Options:
        options: Options = getattr(config, self.name)
        where = f"data.{self.name}"
        require(options.min_steps >= 1, f"{where}.min_steps={options.min_steps}", "at least 1")
        require(options.min_steps <= options.max_steps, f"{where}.max_steps={options.max_steps}", "at least min_steps")
        if split == "ood":
            longer = options.ood_steps > options.max_steps
            require(longer, f"{where}.ood_steps={options.ood_steps}", f"more than max_steps={options.max_steps}")
        self.check(options)
        return options

    def _row(self, random: Random, steps: int, split: str, options: Options, seen: set[str]) -> Story:
        home = "test" if split == "ood" else split
        for _ in range(TRIES):
            story = self.draw(random, steps, options)
            if BUCKETS[bucket(story.question)] == home and (split == "train" or story.question not in seen):
                seen.add(story.question)
                return story
        raise DataError(
            f"{self.name}/{split}: after {len(seen)} different stories, {TRIES} more draws of {steps} steps gave "
            f"no new one, and data.{self.name} asks for {rows(split, options)} rows. Stories of a split other than "
            f"train are all different: lower data.{self.name}.test_rows, or give the stories more room "
            f"({ROOM[self.name]})"
        )


def bucket(question: str) -> int:
    """The bucket of a story: a hash of its text, the same on every machine."""
    return blake2b(question.encode(), digest_size=8).digest()[0] % len(BUCKETS)


def rows(split: str, options: Options) -> int:
    """Number of rows of a split."""
    return options.train_rows if split == "train" else options.test_rows


def require(holds: bool, received: str, rule: str) -> None:
    """Refuse an option.

    Raises:
        DataError: `holds` is false.
    """
    if not holds:
        raise DataError(f"{received} cannot be: it must be {rule}")
