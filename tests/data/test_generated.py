"""The generated tasks: every story is solved again from its text, and no shortcut solves it."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.registry import task
from rim.data.stories import BUCKETS, bucket
from rim.settings import Arithmetic, Data, Tracking
from tests.data.reading import distinct, read

SPLITS = ("train", "validation", "test", "ood")


def config(rows: int = 600, **options: int) -> Data:
    sizes = {"train_rows": rows, "test_rows": rows}
    return Data(
        tracking=Tracking(**sizes, **{k: v for k, v in options.items() if hasattr(Tracking, k)}),
        arithmetic=Arithmetic(**sizes, **{k: v for k, v in options.items() if hasattr(Arithmetic, k)}),
    )


def examples(name: str, split: str, data: Data | None = None) -> list[Example]:
    return read(f"{name}/{split}", data or config()).examples


def holders(question: str) -> Iterator[str]:
    """Who has the object at first and after each swap, read from the text."""
    [[holder, thing]] = re.findall(r"^(\w+) has the (\w+)\.", question)
    assert question.endswith(f"Who has the {thing}?")
    yield holder
    for first, second in re.findall(r"(\w+) and (\w+) swap\.", question):
        holder = {first: second, second: first}.get(holder, holder)
        yield holder


def values(question: str) -> Iterator[int]:
    """The value at first and after each operation, read from the text."""
    first, *operations, _ = re.split(r"(?<=[.?])\s", question)
    value = int(re.findall(r"\d+", first)[0])
    yield value
    for operation in operations:
        number = int(re.findall(r"\d+", operation)[0])
        if "times as many" in operation:
            value *= number
        else:
            value += -number if re.search("loses|away|sells", operation) else number
        yield value


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("people", [3, 4, 8])
def test_tracking_is_solved_by_following_the_text(split: str, people: int) -> None:
    for example in examples("tracking", split, config(100, people=people, min_steps=3)):
        _, *after = holders(example.question)
        assert example.steps == tuple(after) and example.answer == after[-1]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("limits", [{}, {"max_number": 5, "max_value": 9}, {"max_number": 200, "max_value": 150}])
def test_arithmetic_is_solved_by_following_the_text(split: str, limits: dict[str, int]) -> None:
    data = config(200, min_steps=2, **limits)
    for example in examples("arithmetic", split, data):
        told = list(values(example.question))
        assert all(0 <= value <= data.arithmetic.max_value for value in told)
        assert max(map(int, re.findall(r"\d+", example.question))) <= data.arithmetic.max_number
        for step, before, after in zip(example.steps, told, told[1:], strict=False):
            left, sign, right, result = re.fullmatch(r"<<(\d+)([-+*])(\d+)=(\d+)>>", step).groups()  # type: ignore
            assert int(left) == before and int(result) == after == eval(left + sign + right)
        assert len(example.steps) == len(told) - 1 and example.answer == str(told[-1])


def test_both_forms_of_the_steps_tell_the_same_story() -> None:
    for name in ("tracking", "arithmetic"):
        short, sentences = config(50), config(50)
        sentences.steps = "sentences"
        for one, other in zip(examples(name, "train", short), examples(name, "train", sentences), strict=True):
            assert (one.question, one.answer, len(one.steps)) == (other.question, other.answer, len(other.steps))
            for step, sentence in zip(one.steps, other.steps, strict=True):
                bare = re.sub(r"[ .]", "", sentence) if name == "arithmetic" else sentence.split(" has the ")[0]
                assert bare == step.strip("<>") and sentence.endswith(".")


@pytest.mark.parametrize("split", SPLITS)
def test_results_are_what_the_text_comes_to_after_each_step(split: str) -> None:
    data = config(100, min_steps=2)
    data.steps = "results"
    for name, solve in (("tracking", holders), ("arithmetic", values)):
        for example in examples(name, split, data):
            _, *after = map(str, solve(example.question))
            assert example.steps == tuple(after) and example.answer == after[-1]


@pytest.mark.parametrize("name", ["tracking", "arithmetic"])
def test_steps_are_uniform_and_ood_has_more(name: str) -> None:
    for split in ("train", "validation", "test"):
        counts = Counter(len(example.steps) for example in examples(name, split))
        assert counts == {1: 150, 2: 150, 3: 150, 4: 150}
    assert Counter(len(example.steps) for example in examples(name, "ood")) == {5: 300, 6: 300}


@pytest.mark.parametrize("name", ["tracking", "arithmetic"])
def test_splits_are_disjoint_by_the_text_alone(name: str) -> None:
    for split in SPLITS:
        for seed in (0, 1):
            home = {BUCKETS[bucket(e.question)] for e in examples(name, split, config(300, seed=seed))}
            assert home == {"test" if split == "ood" else split}


@pytest.mark.parametrize("name", ["tracking", "arithmetic"])
def test_rows_do_not_depend_on_their_number_and_validation_rows_are_different(name: str) -> None:
    for split in SPLITS:
        few, many = examples(name, split, config(40)), examples(name, split, config(400))
        assert many[:40] == few
        assert split == "train" or len({example.question for example in many}) == 400
        assert many != examples(name, split, config(400, seed=1))
    assert [example.id for example in few[:2]] == [f"{name}/ood/0", f"{name}/ood/1"]


def test_repeated_training_rows_are_reported() -> None:
    reading = read("tracking/train", config(3000, people=4, max_steps=1))
    assert reading.read == 3000 and distinct(reading) < 4 * 48 * 12


def test_the_stories_of_this_version_do_not_change() -> None:
    """A change here needs another `version` of the generator."""
    assert examples("tracking", "test")[1] == Example(
        "tracking/test/1",
        "Bob has the pen. Tom and Kim swap. Kim and Bob swap. Who has the pen?",
        ("Bob", "Kim"),
        "Kim",
    )
    assert examples("arithmetic", "train")[1] == Example(
        "arithmetic/train/1",
        "Tom has 20 apples. That becomes 3 times as many. Tom buys 4 more. How many apples has Tom in the end?",
        ("<<20*3=60>>", "<<60+4=64>>"),
        "64",
    )


def test_no_shortcut_solves_tracking() -> None:
    """Guesses that look at the first holder, the last or the first swap, or count; chance is 1/6."""
    right: dict[str, Counter[int]] = {}
    counts: Counter[int] = Counter()
    for example in examples("tracking", "train", config(8000)):
        told = list(holders(example.question))
        names = re.findall(r"(\w+) and (\w+) swap", example.question)
        mentions = Counter(name for pair in names for name in pair)
        guesses = {
            "first holder": told[0],
            "last named": names[-1][1],
            "other of the last swap": names[-1][0],
            "most named": mentions.most_common(1)[0][0],
            "partner in the first swap": names[0][names[0][0] == told[0]],
            "partner in the last swap": names[-1][names[-1][0] == told[0]],
        }
        counts[len(names)] += 1
        for guess, name in guesses.items():
            right.setdefault(guess, Counter())[len(names)] += name == example.answer
    share = {guess: {steps: right[guess][steps] / counts[steps] for steps in counts} for guess in right}
    assert all(by[steps] < 0.45 for by in share.values() for steps in (2, 3, 4)), share
    assert share["first holder"][1] < 0.40 and share["last named"][1] < 0.40
    moved = [a != b for e in examples("tracking", "train", config(8000)) for a, b in pairwise(holders(e.question))]
    assert 0.64 < sum(moved) / len(moved) < 0.69


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tracking", {"people": 2}, "data.tracking.people=2 cannot be: it must be 3 to 8"),
        ("tracking", {"people": 9}, "data.tracking.people=9 cannot be: it must be 3 to 8"),
        ("tracking", {"min_steps": 0}, "data.tracking.min_steps=0 cannot be: it must be at least 1"),
        ("tracking", {"min_steps": 5}, "data.tracking.max_steps=4 cannot be: it must be at least min_steps"),
        ("arithmetic", {"ood_steps": 4}, "data.arithmetic.ood_steps=4 cannot be: it must be more than max_steps=4"),
        ("arithmetic", {"max_number": 0}, "data.arithmetic.max_number=0 cannot be: it must be at least 1"),
        ("arithmetic", {"max_value": 0}, "data.arithmetic.max_value=0 cannot be: it must be at least 1"),
    ],
)
def test_senseless_options_are_refused(name: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(f"{name}/ood", config(**options))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "options", "way_out"),
    [
        ("tracking", {"people": 3, "max_steps": 1}, "more people"),
        ("arithmetic", {"max_number": 1, "max_value": 1, "max_steps": 1}, "max_number"),
    ],
)
def test_too_few_stories_stop_with_their_number(name: str, options: dict[str, int], way_out: str) -> None:
    with pytest.raises(DataError) as caught:
        read(f"{name}/test", config(5000, **options))
    message = str(caught.value)
    assert re.match(rf"{name}/test: after \d+ different stories, 10000 more draws of 1 steps", message)
    assert f"lower data.{name}.test_rows" in message and way_out in message


def test_fingerprints_hold_what_changes_the_rows_and_nothing_else() -> None:
    found = task("tracking").fingerprint
    base = found("test", Data())
    assert found("validation", Data()) != base
    for change in ({"seed": 1}, {"people": 4}, {"max_steps": 3}, {"test_rows": 5}):
        assert found("test", Data(tracking=Tracking(**change))) != base
    assert found("test", Data(tracking=Tracking(train_rows=5))) == base
    assert found("train", Data(tracking=Tracking(test_rows=5))) == found("train", Data())
    assert found("test", Data(arithmetic=Arithmetic(seed=1))) == base
