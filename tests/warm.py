"""`python -m MODULE …` as a process that is forked from one with the imports, which take longer than a tiny run.

Session, folder, environment, output, signals and exit status are those of a process that Popen has started.
"""

import os
import signal
import sys
from importlib import import_module
from multiprocessing import reduction
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO, Any

from rim.runs.children import Job
from rim.runs.machine import THREADS, Share
from tests.training.children import forked


class Warm:
    """The part of `subprocess.Popen` that is used for commands; words begin with an interpreter and `-m`."""

    def __init__(self, words: list[str], output: IO[Any], environment: dict[str, str]) -> None:
        _, dash_m, module, *rest = words
        assert dash_m == "-m", words
        self._process: ForkServerProcess = forked().Process(
            target=_run, args=(module, rest, _Descriptor(output.fileno()), environment, os.getcwd())
        )
        self._output = Path(output.name)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """As the process has ended: minus a signal's number; None: it has not."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit status, if there is one already."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once there is one."""
        self._process.join(timeout)
        assert self.returncode is not None, f"the process has not ended within {timeout} s"
        return self.returncode

    def communicate(self, timeout: float) -> tuple[str, None]:
        """All that it has written, once it has ended."""
        self.wait(timeout)
        return self._output.read_text(), None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def launch(job: Job, log: IO[bytes], share: Share) -> Warm:
    """`rim.runs.children.launch` without a new interpreter."""
    return Warm(job.words, log, share.environment())


class _Descriptor:
    """An open file on its way into the process: the same one, with its lock."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _taken, (reduction.DupFd(self.number),)


def _taken(descriptor: Any) -> int:
    number: int = descriptor.detach()
    return number


def _run(module: str, words: list[str], output: int, environment: dict[str, str], folder: str) -> None:
    os.setsid()
    os.chdir(folder)
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *words]
    if THREADS in environment:
        import torch

        torch.set_num_threads(int(environment[THREADS]))
    sys.exit(import_module(module).main(words))
