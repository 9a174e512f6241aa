"""A group of one process over NCCL, and what an update and an answer wait for. The tests are in tests/device."""

from dossier.report import Report
from dossier.sizes import size_of
from dossier.suite import run_tests


def run(report: Report) -> None:
    """All that are open."""
    run_tests(report, size_of(report.task).waits)
