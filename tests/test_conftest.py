"""The guard of the test run itself."""

import socket

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org"])
def test_other_machines_are_out_of_reach(host: str) -> None:
    with pytest.raises(OSError, match=f"tests use no network, and this one reached for '{host}'"):
        socket.create_connection((host, 80), timeout=5)


def test_this_machine_is_within_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"hello")
        connection, _ = server.accept()
        with connection:
            assert connection.recv(5) == b"hello"
