"""Whether the Hugging Face hub can be asked at all, decided in seconds instead of after many retries."""

import os
from base64 import b64encode
from contextlib import closing, suppress
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from rim.base.errors import UserError

TIMEOUT = 5.0
"""Seconds to wait for the hub's address; the libraries alone would retry for 24 to 46."""
PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""Ports that an address without one stands for."""


class HubError(UserError):
    """A hub name that can neither be downloaded nor found locally, or a proxy that cannot be asked for it."""


def reachable() -> bool:
    """Whether the hub's address accepts a connection within `TIMEOUT`; False at once where HF_HUB_OFFLINE is set.

    As its libraries, it goes through the proxy of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY; NO_PROXY exempts
    addresses), which has as long again to answer. A process asks once: what it was told then holds to its end.

    Raises:
        HubError: the environment names a proxy that has no address.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return False
    hub = urlsplit(constants.ENDPOINT)
    return _answers(hub, _proxy(hub.scheme, f"{hub.hostname or ''}:{_port(hub)}"))


@cache
def _answers(hub: SplitResult, proxy: SplitResult | None) -> bool:
    """Whether the hub accepts a connection, through a proxy where there is one."""
    try:
        with closing(_way_to(hub, proxy)) as connection:
            connection.connect()
        return True
    except (OSError, HTTPException):
        return False


def _way_to(hub: SplitResult, proxy: SplitResult | None) -> HTTPConnection:
    """To the hub's address, or to the proxy before it, which is asked for a tunnel where it has that language."""
    host, port = hub.hostname or "", _port(hub)
    if proxy is None:
        return HTTPConnection(host, port, timeout=TIMEOUT)
    connection = HTTPConnection(proxy.hostname or "", proxy.port or PORTS.get(proxy.scheme, 80), timeout=TIMEOUT)
    if (hub.scheme, proxy.scheme) == ("https", "http"):
        connection.set_tunnel(host, port, _authorization(proxy))
    return connection


def _port(hub: SplitResult) -> int:
    return hub.port or PORTS.get(hub.scheme, 80)


def _proxy(scheme: str, address: str) -> SplitResult | None:
    """The proxy that the environment names for an address; None: there is none, or the address is exempt."""
    proxies = getproxies()
    text = proxies.get(scheme) or proxies.get("all")
    if not text or proxy_bypass(address):
        return None
    proxy = urlsplit(text if "://" in text else f"http://{text}")
    with suppress(ValueError):  # of a port that is no number
        if proxy.hostname and proxy.port != 0:
            return proxy
    raise HubError(  # without the text, which may hold a password
        f"the environment's proxy for {scheme} has no address that could be asked: it is written http://HOST:PORT. "
        f"Mend {scheme.upper()}_PROXY or ALL_PROXY, or unset it"
    )


def _authorization(proxy: SplitResult) -> dict[str, str]:
    """The header that shows a proxy the name and password in its address."""
    if proxy.username is None:
        return {}
    secret = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(secret.encode()).decode()}"}


def check_reachable(name: str, field: str, instead: str) -> None:
    """Pass where `name` is a local folder, lies in the local cache at any revision, or the hub answers.

    What lies in the cache is read without the hub where that cannot be reached: the libraries would try for minutes.

    Raises:
        HubError: none of the three; says which setting takes which local copy. Or as `reachable`.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if Path(name).is_dir():
        return
    try:
        validate_repo_id(name)
    except HFValidationError:
        raise HubError(
            f"{field} '{name}' is neither a folder nor a hub name, which is `owner/model`. "
            f"Set {field} to {instead}, or to a hub name"
        ) from None
    if reachable():
        return
    if _is_cached(name):
        constants.HF_HUB_OFFLINE = True
        return
    raise HubError(
        f"{field} '{name}' is neither a local folder nor in the local cache, and the Hugging Face hub cannot be "
        f"reached. Set {field} to {instead}, or run once with a network"
    )


def _is_cached(name: str) -> bool:
    """Whether the local cache holds a model at some revision: the one that is asked for need not be `main`."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    snapshots = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model") / "snapshots"
    return any(snapshots.glob("*/config.json"))
