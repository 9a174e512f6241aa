"""One uninterrupted run that the others are compared with."""

from pathlib import Path

import pytest

from rim.training.run import fit
from tests.runs import tiny


@pytest.fixture(scope="session")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run, beside which others can be made; it is read only."""
    folder = tmp_path_factory.mktemp("runs")
    assert fit(tiny(folder, "run.name=straight")) == 0
    return folder / "straight"
