import os
import random
import time

import pytest
import torch

from rim.evaluation.metrics import Score, score
from rim.evaluation.predictions import Prediction, PredictionError, from_all_processes, merge
from rim.report.proportion import Proportion
from tests.helpers_ddp import ProcessFailure, run_on_two_processes


def predictions(count: int, blocks: int = 3, seed: int = 0) -> list[Prediction]:
    rng = random.Random(seed)
    made = []
    for n in range(count):
        correct = tuple(rng.random() < 0.5 for _ in range(blocks))
        size = rng.choice(["1 digit", "2 digits", "10 digits"])
        made.append(Prediction(f"x/{n}", "q", "1", rng.choice([1, 2, 10]), ("?",) * blocks, correct, size))
    return made


def test_the_score_equals_counting_one_by_one():
    rows = predictions(50)
    counted = score(rows)
    assert counted.examples == 50
    assert counted.correct_K == tuple(len([row for row in rows if row.correct[k]]) for k in range(3))
    assert counted.correct_any == len([row for row in rows if True in row.correct])
    assert counted.correct_final == counted.final.correct == len([row for row in rows if row.correct[2]])
    assert list(counted.by_steps) == [1, 2, 10]
    assert list(counted.by_size) == ["1 digit", "2 digits", "10 digits"]
    for steps, blocks in counted.by_steps_K.items():
        group = [row for row in rows if row.steps == steps]
        assert blocks == tuple(Proportion(len([r for r in group if r.correct[k]]), len(group)) for k in range(3))
        assert counted.by_steps[steps] == blocks[2]
    for size, share in counted.by_size.items():
        group = [row for row in rows if row.size == size]
        assert share == Proportion(len([r for r in group if r.correct[2]]), len(group))


def test_an_example_does_not_count_twice():
    rows = predictions(3)
    with pytest.raises(PredictionError, match="'x/1' occurs twice: an example counts once; `merge` before `score`"):
        score([*rows, rows[1]])
    assert score(merge([rows, rows[1:]])).examples == 3


def test_different_numbers_of_blocks_are_not_averaged():
    with pytest.raises(PredictionError, match="some examples have 2 and 3 answers: accuracy after block k needs"):
        score([*predictions(2, blocks=3), Prediction("y", "q", "1", 1, ("a", "b"), (True, True), "1 digit")])


def scores_on(rank: int, rows: list[Prediction], shares: list[list[list[int]]]) -> list[Score]:
    return [score(from_all_processes([rows[place] for place in share[rank]])) for share in shares]


def test_two_processes_agree_with_one_however_the_examples_are_shared():
    # Averages of averages would be wrong, and so would counting a padded sample twice.
    rows = predictions(23)
    even, odd, everything = list(range(0, 23, 2)), list(range(1, 23, 2)), list(range(23))
    shares = [[even, odd], [everything[:20], everything[20:]], [everything, []], [even, [*odd, 0, 2]]]
    for results in run_on_two_processes(scores_on, rows, shares):
        assert results == [score(rows)] * 4


def fails_on_one(rank: int) -> None:
    if rank == 1:
        raise RuntimeError("the loss is a teapot")
    torch.distributed.barrier()


def dies_on_one(rank: int) -> None:
    if rank == 1:
        os._exit(3)
    time.sleep(600)


def hangs_on_one(rank: int) -> None:
    if rank == 1:
        time.sleep(600)


@pytest.mark.parametrize(
    ("fn", "limit", "message"),
    [
        (fails_on_one, 120.0, "process 1 raised:\n(.|\n)*RuntimeError: the loss is a teapot"),
        (dies_on_one, 120.0, "process 1 died without a word, exit code 3"),
        (hangs_on_one, 4.0, "no result from process 0 and 1 within 4 s: probably one waits in a collective"),
    ],
)
def test_the_helper_says_which_process_failed_and_does_not_wait(fn, limit, message):
    start = time.monotonic()
    with pytest.raises(ProcessFailure, match=message):
        run_on_two_processes(fn, limit=limit)
    assert time.monotonic() - start < 100
