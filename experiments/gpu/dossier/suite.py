"""Tests of the checkout as units: each test is one, and what it records is a finding."""

import os
from collections.abc import Sequence
from typing import Any

import pytest

from dossier.report import Finding, Report, Result, last_lines

GONE = ("CUDA error", "BrokenProcessPool")
"""Words of a failure after which the process that uses the device is of no more use."""


def run_tests(report: Report, arguments: Sequence[str]) -> None:
    """Run what is open of some tests, on the GPU unless the task is a dry run."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the machine may have plugins of any version
    if not report.task.cpu:
        os.environ["RIM_TEST_DEVICE"] = "cuda"
    folder = report.task.work / f"tests-{report.task.step}"
    line = ["-q", "-p", "no:cacheprovider", "-W", "default", f"--basetemp={folder}", *arguments]
    stream = _Stream(report)
    status = pytest.main(line, plugins=[stream])
    if stream.gone or status not in (
        pytest.ExitCode.OK,
        pytest.ExitCode.TESTS_FAILED,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        raise SystemExit(1)


class _Stream:
    """A plugin that tells the report of every test."""

    def __init__(self, report: Report) -> None:
        self.report, self.gone = report, False
        self.session: pytest.Session | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        self.session = session
        self.report.names([named(item.nodeid) for item in items])
        items[:] = [item for item in items if self.report.open(named(item.nodeid))]

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        self.report.begin(named(nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.report.end(named(report.nodeid), "done", Result(_findings(report.user_properties)))
        elif report.failed and report.when != "teardown":
            self._failed(named(report.nodeid), report.longreprtext)

    def _failed(self, name: str, text: str) -> None:
        self.report.end(name, "failed", error=last_lines(text))
        self.gone = any(word in text for word in GONE)
        if self.gone and self.session is not None:
            self.session.shouldstop = "the device answers no more"


def named(nodeid: str) -> str:
    """A test's name in words."""
    _, _, name = nodeid.rpartition("::")
    test, bracket, case = name.partition("[")
    return test.removeprefix("test_").replace("_", " ") + (f" ({case.removesuffix(']')})" if bracket else "")


def _findings(properties: Sequence[tuple[str, Any]]) -> list[Finding]:
    return [Finding(name, value if isinstance(value, int | float) else str(value)) for name, value in properties]
