"""Whether the hub can be asked: directly, or through the proxy that the environment names; on loopback alone."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants

from rim.base import hub
from rim.base.hub import HubError, check_reachable, reachable

OPENS, REFUSES = b"HTTP/1.1 200 Connection established\r\n\r\n", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"


@contextmanager
def proxy(answer: bytes) -> Iterator[tuple[str, list[str]]]:
    """Address of a proxy that gives one answer, and the requests that it has had."""
    requests: list[str] = []

    def serve() -> None:
        with suppress(TimeoutError):  # nobody called, which the test tells by `requests`
            caller, _ = server.accept()
            with caller:
                requests.append(caller.recv(4096).decode())
                caller.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", requests
        thread.join(5)


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub may be asked, at an address that tests cannot reach, no proxy is named, and nobody has asked yet."""
    hub._answers.cache_clear()
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name == "HF_HUB_OFFLINE"]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.example")
    monkeypatch.setattr(hub, "TIMEOUT", 2.0)


def test_without_a_proxy_the_hub_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not reachable()
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"https://127.0.0.1:{server.getsockname()[1]}")
        assert reachable()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("form", ["http://{}", "{}"])
def test_a_proxy_is_asked_for_a_tunnel_to_the_hub(name: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(OPENS) as (address, requests):
        monkeypatch.setenv(name, form.format(address))
        assert reachable()
    assert requests and requests[0].startswith("CONNECT hub.example:443 ") and "Authorization" not in requests[0]


def test_name_and_password_are_shown_to_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(OPENS) as (address, requests):
        monkeypatch.setenv("HTTPS_PROXY", f"http://ann:p%40ss@{address}")
        assert reachable()
    assert requests and "Proxy-Authorization: Basic YW5uOnBAc3M=\r\n" in requests[0]


@pytest.mark.parametrize("answer", [REFUSES, b"what?\r\n\r\n", b""])
def test_a_proxy_that_opens_no_tunnel_is_no_way_to_the_hub(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(answer) as (address, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        assert not reachable()


def test_a_hub_that_is_exempt_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"https://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        assert not reachable()
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
        assert reachable()


@pytest.mark.parametrize("scheme", ["socks5", "http"])
def test_a_proxy_that_is_asked_for_no_tunnel_must_accept_a_connection(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another language than HTTP, or a hub without encryption, to which there is no tunnel."""
    if scheme == "http":
        monkeypatch.setattr(constants, "ENDPOINT", "http://hub.example")
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:9")
    assert not reachable()
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{server.getsockname()[1]}")
        assert reachable()


@pytest.mark.parametrize("text", ["http://ann:secret@proxy:many", "http://", "http://:3128"])
def test_a_proxy_without_an_address_is_a_lesson(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", text)
    with pytest.raises(HubError) as error:
        reachable()
    assert (
        "the environment's proxy for https has no address that could be asked: it is written http://HOST:PORT"
        in str(error.value)
    )
    assert "Mend HTTPS_PROXY or ALL_PROXY, or unset it" in str(error.value) and "secret" not in str(error.value)


def test_a_process_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer holds for an address and a proxy: with others it asks again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"https://127.0.0.1:{server.getsockname()[1]}")
        assert reachable()
    assert reachable(), "it has gone since, and is not asked"
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
