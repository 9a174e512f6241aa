"""A run whose layers are checkpointed makes the curve of a plain one, on two processes and under dropout."""

from pathlib import Path

from tests.runs import curve, overrides
from tests.training.children import fit_on_two
from tests.training.test_two_processes import assert_close


def test_checkpointed_as_plain_on_two_processes(tmp_path: Path) -> None:
    for name, mode in (("plain", "none"), ("checkpointed", "full")):
        first, second = fit_on_two(tmp_path, overrides(tmp_path, f"run.name={name}", f"training.checkpointing={mode}"))
        assert first.status == second.status == 0, first.output + second.output
    assert_close(curve(tmp_path / "checkpointed"), curve(tmp_path / "plain"))
