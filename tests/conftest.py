"""Every test runs seeded, on one thread and without a network; the environment is set before heavy imports."""

import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ |= {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "MPLBACKEND": "agg",
}
if os.environ.get("RIM_TEST_DEVICE") != "cuda":  # see tests/device/second.py
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import pytest
import torch

_CHECKOUT = Path(__file__).resolve().parent.parent
_LOOPBACK = {"localhost", "::1", "0.0.0.0", "::", "", None, socket.gethostname()}


class NetworkBlocked(OSError):
    """A test reached for the network; an OSError, as a missing network is."""


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random numbers in every test, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections and look-ups of other machines fail at once, with the address in the message."""
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    look_up = socket.getaddrinfo

    def guarded_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        _refuse_remote(host)
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


def _guarded(connect: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
    def guarded_connect(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX:
            _refuse_remote(address[0])
        return connect(self, address)

    return guarded_connect


def _refuse_remote(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name not in _LOOPBACK and not str(name).startswith("127."):
        raise NetworkBlocked(f"tests use no network, and this one reached for '{name}'")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the published data sets: `RIM_DATA`, or `shared/data` beside the checkout."""
    root = Path(os.environ.get("RIM_DATA", _CHECKOUT.parent / "shared" / "data"))
    if not (root / "gsm8k" / "test.jsonl").is_file():
        pytest.fail(
            f"'{root}' holds no gsm8k/test.jsonl: set RIM_DATA to the folder of published data sets", pytrace=False
        )
    return root


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that is the working directory during the test."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
