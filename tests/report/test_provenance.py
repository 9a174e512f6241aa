"""What stands under tables says how their intervals were made."""

from collections.abc import Collection

import pytest

from rim.report.provenance import bootstrap_note


@pytest.mark.parametrize(
    ("seeds", "few"), [([1], False), ([5, 1], False), ([5, 5], False), ([3], True), ([5, 2], True), ({1, 4, 9}, True)]
)
def test_the_note_warns_of_any_member_with_few_seeds(seeds: Collection[int], few: bool) -> None:
    told = "Drawing from so few seeds understates how much seeds differ."
    assert (told in bootstrap_note(0.95, seeds, "entries")) == few
