"""RiM: train, compare and measure language models that reason in memory blocks.

The Python API, imported when it is first used: `rim.load("runs/demo").answer("...")`. See docs/ask.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rim.deployment.api import Example, Model, Readout, Reply, Task, compare, fit, load, load_config, register_task

__version__ = "0.1.0"
__all__ = ["Example", "Model", "Readout", "Reply", "Task", "compare", "fit", "load", "load_config", "register_task"]


def __getattr__(name: str) -> Any:
    """A name of the API; `rim.fit` and `rim.compare` are verbs of the command line where these were imported before."""
    if name not in __all__:
        raise AttributeError(f"module 'rim' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(import_module("rim.deployment.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
