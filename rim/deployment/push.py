"""Push an export to the Hugging Face hub."""

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from rim.base.hub import HubError, reachable


def check_push(name: str) -> None:
    """Refuse at once what could not be pushed when the export is made.

    Raises:
        HubError: the name is no `OWNER/NAME`, or the hub cannot be reached.
    """
    try:
        validate_repo_id(name)
    except HFValidationError:
        name = ""
    if "/" not in name:
        raise HubError("--push takes the name of a model on the hub, OWNER/NAME")
    if not reachable():
        raise HubError(f"--push {name}: the Hugging Face hub cannot be reached; export without --push, and push later")


def push(folder: Path, name: str) -> str:
    """Upload all files of a folder as one commit of a model repository, which is made where there is none.

    Returns:
        The address of the model.

    Raises:
        HubError: the hub refused, or was lost on the way; the folder stays as it is.
    """
    api = HfApi()
    try:
        address = api.create_repo(name, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="Export of a RiM run")
    except Exception as error:  # the hub's kinds, and those of the libraries that carry the files
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        raise HubError(
            f"{folder} is exported, and its upload has failed ({reason:.200}). Log in with `hf auth login` as one who "
            f"may write to {name}, and repeat: hf upload {name} {folder} ."
        ) from error
    return str(address)
