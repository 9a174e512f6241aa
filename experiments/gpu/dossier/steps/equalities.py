"""Equalities on the device: packed = separate, cached = uncached, batched = single, plain = static = graph = compiled,
bf16 near fp32, a run that is killed and resumed, and every method's losses and answers. The tests are in tests/device.
"""

from dossier.report import Report
from dossier.sizes import size_of
from dossier.suite import run_tests


def run(report: Report) -> None:
    """All that are open."""
    run_tests(report, size_of(report.task).equalities)
