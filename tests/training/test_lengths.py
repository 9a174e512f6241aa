"""How long answers may be: bounded by real examples, checked against the model's positions before training."""

import json
from pathlib import Path

import pytest

from rim.evaluation.evaluator import EvaluationError
from rim.settings import Config
from rim.settings.load import load
from rim.training.lengths import LengthError
from rim.training.run import fit, prepare_run
from tests.runs import overrides

CHAIN = ("method.name=cot", "stages=[{name: chain, objective: chain, duration: 2 steps}]", "evaluation.controls=[]")
FREE = "evaluation.max_new_tokens=null"


def chains(folder: Path, *more: str) -> Config:
    """A tiny run that learns chains of thought, whose answers may be as long as they are in its data."""
    given = [setting for setting in overrides(folder) if not setting.startswith("stages.")]
    return load([], [*given, *CHAIN, FREE, *more])


def rows(folder: Path, split: str, chains: list[list[str]]) -> str:
    """A file of rows with these steps, and answers as long as their number of steps."""
    lines = [
        {"question": f"{split} {i}?", "steps": steps, "answer": "4" * len(steps)} for i, steps in enumerate(chains)
    ]
    path = folder / f"{split}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def own(folder: Path, train: list[list[str]], held: list[list[str]], test: list[list[str]]) -> list[str]:
    """Settings of a run on three such files."""
    named = [("train", train), ("validation", held), ("test", test)]
    files = [f"data.own.{split}={rows(folder, split, chains)}" for split, chains in named]
    sources = ["data.train=own/train", "data.validation=own/validation", "data.test=[own/test]"]
    return [*sources, "data.max_steps=8", *files]


MIXED = [["a b c d e f g h i j"], ["a"] * 6, ["a b", "c"]]


MANY_STEPS = [["a", "b", "c"]] * 70
SHORT = [["a"], ["b"]]
LONG = [["a"], ["a b c d e f g h i j k l m n o p"]]


def test_a_chain_is_bounded_by_the_longest_whole_one(tmp_path: Path) -> None:
    """One row has the longest step, another the most steps: no chain is as long as both together."""
    prepared = prepare_run(chains(tmp_path, *own(tmp_path, MIXED, SHORT, SHORT)))
    method, train = prepared.method, prepared.splits.train
    separator, around = len(method.separator), len(method.answer_mark) + 1
    examples = [train[row] for row in range(len(train))]
    by_hand = [
        sum(len(step) + separator for step in example.steps) + len(example.answer) + around for example in examples
    ]
    assert (train.chain_lengths(separator) + around).tolist() == by_hand
    assert prepared.evaluator.max_new_tokens() == prepared.evaluator.lengths.chain == max(by_hand)
    assert max(by_hand) < 6 * (train.longest.step + separator) + train.longest.answer + around


@pytest.mark.parametrize("place", ["train", "held", "test"])
def test_all_splits_count(tmp_path: Path, place: str) -> None:
    """A test set may have longer chains and answers than any that trains."""
    files = [MIXED if place == name else SHORT for name in ("train", "held", "test")]
    prepared = prepare_run(chains(tmp_path, *own(tmp_path, *files)))
    splits = [split for _, split in prepared.splits.named()]
    longest = splits[("train", "held", "test").index(place)]
    method, lengths = prepared.method, prepared.evaluator.lengths
    assert lengths.answer == longest.longest.answer + 1
    assert lengths.chain == int(max(longest.chain_lengths(len(method.separator)))) + len(method.answer_mark) + 1


@pytest.mark.parametrize("place", ["validation", "test"])
def test_an_answer_without_room_is_refused_before_training(tmp_path: Path, place: str) -> None:
    held, test = (LONG if place == name else SHORT for name in ("validation", "test"))
    few = ("backbone.scratch.positions=32", "backbone.scratch.vocabulary=258")
    with pytest.raises(EvaluationError, match=r"question 'own/\w+/\d' takes \d+ positions .* to \d\d tokens may"):
        fit(chains(tmp_path, *own(tmp_path, SHORT, held, test), *few))
    assert not (tmp_path / "run/config.yaml").exists(), "nothing was begun, so other settings may follow"
    longer = ("backbone.scratch.positions=64", "backbone.scratch.vocabulary=258")
    assert fit(chains(tmp_path, *own(tmp_path, SHORT, held, test), *longer)) == 0


def test_one_long_step_is_refused_however_many_have_more_steps_or_longer_questions(tmp_path: Path) -> None:
    rows = [*MANY_STEPS, *[["a"]] * 130, ["a b c d e f g h i j k l m n o p q r s t u v w x y z " * 2]]
    given = [*own(tmp_path, rows, SHORT, SHORT), "backbone.scratch.vocabulary=258", "evaluation.max_new_tokens=4"]
    with pytest.raises(
        LengthError, match=r"'own/train/200' takes \d+ positions in stage 'chain', but the model has 90"
    ):
        prepare_run(chains(tmp_path, *given, "backbone.scratch.positions=90"))
