"""Examples in lines, and lines in passes: nothing is lost, nothing is too long, and little is left empty."""

import numpy as np
import pytest

from rim.data.lines import pack, split


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tokens_per_line", [1, 100, 512, 5000])
def test_every_example_stands_in_one_line_that_has_room_for_it(seed: int, tokens_per_line: int) -> None:
    lengths = np.random.default_rng(seed).integers(20, 300, 128).tolist()
    lines = pack(lengths, tokens_per_line)
    assert sorted(number for line in lines for number in line) == list(range(128))
    tokens = [sum(lengths[number] for number in line) for line in lines]
    assert max(tokens) <= max(tokens_per_line, *lengths)
    assert pack(lengths, tokens_per_line) == lines, "the same every time"


def test_first_fit_by_hand() -> None:
    """Three lines are needed in each case, and no three of 7 tokens hold all."""
    assert pack([4, 7, 2, 5, 3, 1], 10) == [[1, 5], [3, 4], [0, 2]]
    assert pack([6, 6, 5, 3], 10) == [[0], [1], [2, 3]], "lines of 10 would put 3 beside the first, and need 9 tokens"


def test_an_example_longer_than_the_budget_has_a_line_of_its_own() -> None:
    """Lines are padded to the longest, so the others may be as long."""
    assert pack([12, 6, 6, 3], 10) == [[0], [1, 2], [3]]


@pytest.mark.parametrize("tokens_per_line", [384, 512, 1024])
def test_little_is_left_empty(tokens_per_line: int) -> None:
    lengths = np.random.default_rng(0).gamma(6.0, 20.0, 128).astype(int).tolist()
    lines = pack(lengths, tokens_per_line)
    assert sum(lengths) / (len(lines) * tokens_per_line) > 0.9


@pytest.mark.parametrize("examples", [4, 8, 16])
def test_little_is_left_empty_where_a_few_lines_hold_all(examples: int) -> None:
    shares = []
    for seed in range(20):
        lengths = np.random.default_rng(seed).gamma(6.0, 20.0, examples).astype(int).tolist()
        tokens = [sum(lengths[number] for number in line) for line in pack(lengths, 512)]
        shares.append(sum(tokens) / (len(tokens) * max(tokens)))
    assert np.mean(shares) > 0.95, "lines of 512 tokens leave 0.82 to 0.88"


@pytest.mark.parametrize(
    ("tokens_per_pass", "sizes"),
    [
        (1, [1] * 7),  # a line at least
        (71, [1, 2, 2, 2]),  # 20 tokens are padded to 24
        (72, [2, 2, 3]),
        (96, [3, 4]),
        (10_000, [7]),
    ],
)
def test_passes_are_few_and_alike(tokens_per_pass: int, sizes: list[int]) -> None:
    lines = [[number] for number in range(7)]
    parts = split(lines, [20, 20, 20, 11, 3, 20, 1], tokens_per_pass)
    assert [line for part in parts for line in part] == lines
    assert [len(part) for part in parts] == sizes
