"""Start an engine's server, ask it through the `openai` client, and stop it."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.engines.environments import TRANSFORMERS, WORK, EngineError

SECONDS = 900
"""A server has to listen within this time; vLLM takes minutes where the machine is busy."""


@contextmanager
def serving(line: Sequence[str], variables: dict[str, str] | None = None) -> Iterator[str]:
    """A server, `{port}` of its command filled in; gives its address.

    Raises:
        EngineError: it ended, or does not answer in time; the end of its log.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command, log = [word.format(port=port) for word in line], WORK / "server.log"
    with open(log, "w") as written:
        server = subprocess.Popen(command, env=os.environ | (variables or {}), stdout=written, stderr=written)
    try:
        _wait(server, f"http://127.0.0.1:{port}/v1/models", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait(server: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            urlopen(address, timeout=5).close()
            return
        except HTTPError:  # it listens; `transformers serve` lists a cache, and there may be none
            return
        except OSError:
            time.sleep(1)
    raise EngineError("the server did not start: " + "\n    ".join(log.read_text(errors="replace").splitlines()[-6:]))


def asked(address: str, model: str, questions: Sequence[str], more: dict[str, object]) -> list[str]:
    """The answers of a server, as the `openai` package reads them.

    Args:
        more: settings that the client sends with each question.

    Raises:
        EngineError: a question was refused.
    """
    given = json.dumps({"address": address, "model": model, "questions": questions, "more": more})
    line = [TRANSFORMERS.ready(), str(Path(__file__).with_name("client.py"))]
    done = subprocess.run(line, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(done.stderr.strip().splitlines()[-1])
    answers: list[str] = json.loads(done.stdout)
    return answers
