"""Where answers are computed."""

import torch


def scoring_device(accelerator: str) -> torch.device:
    """The kind of device that `training.accelerator` names, where this machine has one; else the CPU."""
    if accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if accelerator == "mps" and torch.backends.mps.is_available() else "cpu")
