"""Whether the Hugging Face hub can be asked at all, decided in seconds instead of after many retries."""

import os
import socket
from pathlib import Path
from urllib.parse import urlparse

from rim.errors import UserError

TIMEOUT = 5.0
"""Seconds to wait for the hub's address; the libraries alone would retry for 24 to 46."""


class HubError(UserError):
    """A hub name that can neither be downloaded nor found locally."""


def reachable() -> bool:
    """Whether the hub's address accepts a connection within `TIMEOUT`; False at once where HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return False
    address = urlparse(constants.ENDPOINT)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        with socket.create_connection((address.hostname or "", port), timeout=TIMEOUT):
            return True
    except OSError:
        return False


def check_reachable(name: str, field: str, instead: str) -> None:
    """Pass where `name` is a local folder, lies in the local cache, or the hub answers.

    Raises:
        HubError: none of the three; says which setting takes which local copy.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if Path(name).is_dir():
        return
    try:
        cached = isinstance(try_to_load_from_cache(name, "config.json"), str)
    except HFValidationError:
        raise HubError(
            f"{field} '{name}' is neither a folder nor a hub name, which is `owner/model`. "
            f"Set {field} to {instead}, or to a hub name"
        ) from None
    if cached or reachable():
        return
    raise HubError(
        f"{field} '{name}' is neither a local folder nor in the local cache, and the Hugging Face hub cannot be "
        f"reached. Set {field} to {instead}, or run once with a network"
    )
