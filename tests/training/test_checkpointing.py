"""A run whose layers are checkpointed makes the curve of a plain one, on two processes and under dropout."""

from pathlib import Path

from tests.runs import curve, overrides
from tests.training.children import fit_on_two
from tests.training.test_two_processes import assert_close


def test_checkpointed_on_two_processes_as_plain_on_one(straight: Path, tmp_path: Path) -> None:
    line = overrides(straight.parent, "run.name=checkpointed", "training.checkpointing=full")
    first, second = fit_on_two(tmp_path, line)
    assert first.status == second.status == 0, first.output + second.output
    assert_close(curve(straight.parent / "checkpointed"), curve(straight))
