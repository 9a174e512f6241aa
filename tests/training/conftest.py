"""One uninterrupted run that the others are compared with; the others draw nothing and count no cost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rim.training.run import fit
from tests.runs import tiny
from tests.swift import fully, swiftly


@pytest.fixture(scope="module", autouse=True)
def swift() -> Iterator[None]:
    """A module that needs figures or costs has a fixture of this name instead."""
    with pytest.MonkeyPatch.context() as patch:
        swiftly(patch.setattr)
        yield


@pytest.fixture(scope="session")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run, beside which others can be made; it is read only."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        fully(patch.setattr)
        assert fit(tiny(folder, "run.name=straight")) == 0
    return folder / "straight"
