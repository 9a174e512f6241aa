"""Whether the hub can be asked: directly, or through the proxy that the environment names; on loopback alone."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from rim.base import hub
from rim.base.hub import HubError, check_reachable, reachable

ANSWERS = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
REFUSES = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def server(answer: bytes = ANSWERS) -> Iterator[tuple[str, list[str]]]:
    """Address of a server that gives one caller one answer, and the requests that it has had."""
    requests: list[str] = []

    def serve() -> None:
        with suppress(TimeoutError):  # nobody called, which the test tells by `requests`
            caller, _ = listening.accept()
            with caller:
                requests.append(caller.recv(4096).decode())
                caller.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", requests
        thread.join(5)


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hub may be asked, at an address that tests cannot reach, no proxy is named, and nobody has asked yet."""
    hub._answers.cache_clear()
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name == "HF_HUB_OFFLINE"]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.example")
    monkeypatch.setattr(hub, "TIMEOUT", 2.0)
    close_session()  # it has the proxies of when it was made
    yield
    hub._answers.cache_clear()
    close_session()


def test_without_a_proxy_the_hub_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not reachable()
    with server() as (address, _):
        monkeypatch.setattr(constants, "ENDPOINT", f"http://{address}")
        assert reachable()


def test_a_proxy_is_asked_for_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.example")
    with server() as (address, requests):
        monkeypatch.setenv("HTTP_PROXY", f"http://{address}")
        assert reachable()
    assert requests and requests[0].startswith("HEAD http://hub.example")


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("answer", [REFUSES, b"what?\r\n\r\n", b""])
def test_a_proxy_that_opens_no_tunnel_is_no_way_to_the_hub(
    answer: bytes, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(answer) as (address, requests):
        monkeypatch.setenv(name, f"http://ann:p%40ss@{address}")
        assert not reachable()
    assert requests and requests[0].startswith("CONNECT hub.example:443 ")
    assert "Proxy-Authorization: Basic YW5uOnBAc3M=\r\n" in requests[0], "name and password are shown to it"


def test_a_hub_that_is_exempt_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with server() as (address, _):
        monkeypatch.setattr(constants, "ENDPOINT", f"http://{address}")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
        assert reachable()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("http://ann:secret@proxy:many", "Invalid port: 'many'"), ("ftp://ann:secret@proxy:21", "Unknown scheme")],
)
def test_a_proxy_that_cannot_be_used_is_a_lesson(text: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", text)
    with pytest.raises(HubError) as error:
        reachable()
    assert f"the environment's proxy cannot be used: {reason}" in str(error.value)
    assert "Mend HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, which are written http://HOST:PORT" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_process_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer holds for an address: of another it asks again."""
    with server() as (address, _):
        monkeypatch.setattr(constants, "ENDPOINT", f"http://{address}")
        assert reachable()
    assert reachable(), "it has gone since, and is not asked"
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.example")
    assert not reachable()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://{address}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert not reachable(), "offline mode is no question of the hub"


COMMIT = "0123456789" * 4


@pytest.mark.parametrize("ref", [None, "main", "v1.0"])
def test_a_model_in_the_local_cache_is_found_at_any_revision(
    ref: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(HubError, match="'owner/model' is neither a local folder nor in the local cache"):
        check_reachable("owner/model", "backbone.name", "a folder")
    snapshot = tmp_path / "models--owner--model" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    if ref:
        (tmp_path / "models--owner--model" / "refs").mkdir()
        (tmp_path / "models--owner--model" / "refs" / ref).write_text(COMMIT)
    check_reachable("owner/model", "backbone.name", "a folder")
    assert constants.HF_HUB_OFFLINE, "or each file would be asked for, again and again"


def test_a_name_that_is_neither_a_folder_nor_of_the_hub_is_a_lesson() -> None:
    with pytest.raises(HubError, match=r"backbone\.name 'a/b/c' is neither a folder nor a hub name, which is `owner/m"):
        check_reachable("a/b/c", "backbone.name", "a folder")
