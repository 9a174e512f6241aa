"""Output that nobody reads any more: a verb ends quietly, with the status that shells give it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rim.settings.pipe import quiet_when_unread

ROOT = Path(__file__).resolve().parent.parent
PREAMBLE = "import sys\nfrom rim.settings.commandline import user_errors\nfrom rim.base.errors import UserError\n"
PREAMBLE += "@user_errors()\ndef main():\n"


def ended(script: str, both: bool = False) -> tuple[int, str]:
    """Exit status and standard error of a script whose standard output has no reader (`both`: nor has the other)."""
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-c", script]
    errors = writer if both else subprocess.PIPE
    done = subprocess.run(words, stdout=writer, stderr=errors, text=True, cwd=ROOT, timeout=60, check=False)
    os.close(writer)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize(
    "body",
    [
        "print('flushed', flush=True)",
        "print('left in the buffer')",
        "print('x' * 1_000_000)",
        "print('before an exit'); raise SystemExit(0)",
        "print('and an error'); sys.stdout.flush(); raise UserError('no')",
    ],
)
def test_a_verb_ends_quietly_with_the_status_of_a_broken_pipe(body: str) -> None:
    assert ended(f"{PREAMBLE}    {body}\nmain()") == (141, "")


def test_errors_that_nobody_reads_are_no_reason_for_a_traceback() -> None:
    assert ended(f"{PREAMBLE}    raise UserError('no')\nmain()", both=True)[0] == 141


def test_an_error_is_read_where_only_the_output_is_not() -> None:
    assert ended(f"{PREAMBLE}    raise UserError('no')\nmain()") == (2, "error: no\n")


def test_a_pipe_of_our_own_that_breaks_is_a_defect_and_keeps_its_traceback() -> None:
    with pytest.raises(BrokenPipeError, match="a child"), quiet_when_unread():
        raise BrokenPipeError("a child has gone")


@pytest.mark.parametrize("words", ["rim", "rim.fit --help", "rim.show --help-config", "rim.compare --help"])
def test_what_a_verb_prints_at_once_can_be_cut_by_head(words: str) -> None:
    line = f"{sys.executable} -m {words} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in ("0", "141")  # 0: head was still there when the whole text was written
