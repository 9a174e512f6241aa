"""Durations as a table, and what is said of a text that is none."""

import pytest

from rim.settings.duration import DurationError, updates


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("1 step", 1),
        ("3200 steps", 3200),
        ("3200 updates", 3200),
        ("  7  steps ", 7),
        ("7steps", 7),
        ("0 steps", 0),
        ("2.5 steps", 3),
        ("64 examples", 2),
        ("65 examples", 3),
        ("1 example", 1),
        ("4e5 examples", 12500),
        ("1 epoch", 32),
        ("2 epochs", 63),
        ("0.5 epochs", 16),
        ("25%", 20),
        ("4 %", 4),
        ("0.1%", 1),
        ("100%", 80),
        ("0%", 0),
    ],
)
def test_updates_of_a_duration(duration: str, expected: int) -> None:
    assert updates(duration, batch_size=32, rows=1000, whole=80) == expected


def test_rounding_does_not_add_an_update_to_a_whole_number() -> None:
    """In floating point 70 * (10 / 100) is 7.000000000000001."""
    assert [updates(f"{p}%", batch_size=1, rows=1, whole=10) for p in range(101)] == [-(-p // 10) for p in range(101)]
    assert all(updates(f"{n} examples", batch_size=49, rows=1) == -(-n // 49) for n in range(1, 500))


@pytest.mark.parametrize("text", ["", "steps", "10", "-1 steps", "10 weeks", "1/2 epoch", "ten steps", "nan%", "5 % 3"])
def test_what_is_no_duration_is_answered_with_the_four_forms(text: str) -> None:
    with pytest.raises(DurationError) as raised:
        updates(text, batch_size=1, rows=1, whole=1)
    forms = "write '3200 steps', '400000 examples', '6 epochs' or '25%'"
    assert str(raised.value) == f"'{text}' is not a duration: {forms}"


def test_per_cent_of_nothing_is_refused() -> None:
    with pytest.raises(DurationError, match=r"^'25%' is per cent of nothing: set training.duration, or write steps or"):
        updates("25%", batch_size=1, rows=1)


@pytest.mark.parametrize("text", ["1e999 steps", "4e400 examples", "9" * 400 + " epochs", "1e999%", "1e308 epochs"])
def test_a_number_beyond_all_floats_is_refused(text: str) -> None:
    with pytest.raises(DurationError, match="is more than can be counted: write a smaller number"):
        updates(text, batch_size=1, rows=1000, whole=80)
