"""Whether the Hugging Face hub can be asked at all, decided in seconds instead of after many retries."""

from functools import cache
from pathlib import Path

from rim.base.errors import UserError

TIMEOUT = 5.0
"""Seconds to wait for the hub to answer; the libraries alone would retry for 24 to 46."""


class HubError(UserError):
    """A hub name that can neither be downloaded nor found locally, or a proxy that cannot be used to ask for it."""


def reachable() -> bool:
    """Whether the hub answers within `TIMEOUT`; False at once where HF_HUB_OFFLINE is set.

    It is asked by the session that later downloads use, so through the same proxies, and over a connection that stays
    open. A process asks once: what it was told then holds to its end.

    Raises:
        HubError: the environment names a proxy that the session cannot use.
    """
    from huggingface_hub import constants

    return not constants.HF_HUB_OFFLINE and _answers(constants.ENDPOINT)


@cache
def _answers(endpoint: str) -> bool:
    from huggingface_hub.utils import get_session

    try:
        session = get_session()
    except Exception as error:  # of several kinds, by what is wrong with a proxy
        raise HubError(
            f"the environment's proxy cannot be used: {error}. Mend HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, which are "
            "written http://HOST:PORT, or unset it"
        ) from None
    try:
        session.head(endpoint, timeout=TIMEOUT)
    except Exception:  # the kinds of the session's own library
        return False
    return True


def check_reachable(name: str, field: str, instead: str, file: str = "config.json") -> None:
    """Pass where `name` is a local folder, lies in the local cache at any revision, or the hub answers.

    A model lies in the cache where `file` of it does. It is then read without the hub where that cannot be reached: the
    libraries would try for minutes.

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
    if _is_cached(name, file):
        constants.HF_HUB_OFFLINE = True
        return
    raise HubError(
        f"{field} '{name}' is neither a local folder nor in the local cache, and the Hugging Face hub cannot be "
        f"reached. Set {field} to {instead}, or run once with a network. A small model from scratch needs neither: "
        "--config conf/backbone/scratch.yaml"
    )


def _is_cached(name: str, file: str) -> bool:
    """Whether the local cache holds a model's file at some revision: the one that is asked for need not be `main`."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    snapshots = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model") / "snapshots"
    return any(snapshots.glob(f"*/{file}"))
