"""A second device for machines that have none: its tensors lie in main memory and refuse to meet the CPU's.

An operation on tensors of both devices is an error, as on a GPU; whatever is carried between the two, or asked of the
second by the program, is written down by name. Numbers come from the CPU's own operations, so that a program can be
expected to say the same with it and without.

It stands in torch's slot for devices written in Python, which a process cannot clear again: `install` is for
processes that end with their test.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch.accelerators import Accelerator
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "pretended"
ATEN = torch.ops.aten
CARRIES = (ATEN.copy_.default, ATEN._to_copy.default)
"""Operations that take tensors of one device to the other."""
ASKS = (
    *(ATEN._local_scalar_dense.default, ATEN.nonzero.default, ATEN.masked_select.default, ATEN._unique2.default),
    *(ATEN.unique_dim.default, ATEN.unique_consecutive.default, ATEN.repeat_interleave.Tensor, ATEN.equal.default),
)
"""Operations for whose result a program waits: a number, or a shape that numbers decide."""
PICKS = (ATEN.index.Tensor, ATEN.index_put.default, ATEN.index_put_.default)
"""Operations with indices, which wait where an index is a mask."""
CROSSINGS: list[str] = []
"""What has gone between the device and the CPU so far."""


class BothDevices(RuntimeError):
    """An operation on tensors of both devices."""


def install() -> None:
    """Make torch know the device, for as long as this process lives."""
    _setup_privateuseone_for_python_backend(NAME, _Module())
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(data, device=...) goes through the mode like all else
    torch.__future__.set_swap_module_params_on_conversion(True)  # tied weights stay tied where a module moves


def device() -> torch.device:
    """The device, in a process that has it installed."""
    return torch.device(NAME, 0)


class Pretence(TorchDispatchMode):
    """While it is entered, tensors can be made on the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _carry_out(func, args, kwargs or {})


class _There(Tensor):
    """A tensor on the device; `held` is the CPU's tensor with its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "_There":
        size, layout = held.size(), {"strides": held.stride(), "storage_offset": held.storage_offset()}
        made = Tensor._make_wrapper_subclass(cls, size, **layout, dtype=held.dtype, device=device())
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _carry_out(func, args, kwargs or {})

    def tolist(self) -> Any:
        """As of any device; torch refuses it to subclasses."""
        return self.cpu().tolist()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Saved as the CPU's, since what loads it may not know the device."""
        return self.held.detach().__reduce_ex__(protocol)


def _carry_out(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = any(isinstance(each, _There) for each in tensors)
    wanted = kwargs.get("device")
    result_there = there if wanted is None else torch.device(wanted).type == NAME
    _look(func, args, tensors, result_there)
    held = {**kwargs, "device": torch.device("cpu")} if wanted is not None else kwargs
    result = func(*tree_map(_held, args), **tree_map(_held, held))
    if func is ATEN.copy_.default:
        return args[0]
    return return_and_correct_aliasing(func, args, kwargs, tree_map(_put, result)) if result_there else result


def _look(func: Any, args: Sequence[Any], tensors: Sequence[Tensor], result_there: bool) -> None:
    """Refuse what a GPU refuses, and write down what a program waits for."""
    places = {isinstance(each, _There) for each in tensors}
    if func in CARRIES:
        if len(places | {result_there}) > 1:
            CROSSINGS.append(func.__name__)
    elif len(places) > 1 and any(each.ndim for each in tensors if not isinstance(each, _There)):
        raise BothDevices(f"{func.__name__}: {[(tuple(each.shape), each.device.type) for each in tensors]}")
    elif True in places and (func in ASKS or (func in PICKS and any(map(_chooses, args[1])))):
        CROSSINGS.append(func.__name__)


def _chooses(index: Tensor | None) -> bool:
    """Whether what it selects has a size that its numbers decide."""
    return index is not None and index.dtype == torch.bool


def _held(value: Any) -> Any:
    return value.held if isinstance(value, _There) else value


def _put(value: Any) -> Any:
    return _There(value) if isinstance(value, Tensor) and not isinstance(value, _There) else value


class _Module(_DummyBackendModule):
    """What torch asks of a kind of device; there are no random numbers of its own."""

    def get_rng_state(self, device: Any = None) -> Tensor:
        return torch.zeros(1, dtype=torch.uint8)

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        pass

    def manual_seed_all(self, seed: int) -> None:
        pass

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def _is_in_bad_fork(self) -> bool:
        return False


class PretendedAccelerator(Accelerator):
    """The device, as Lightning asks for one."""

    def setup_device(self, device: torch.device) -> None:
        """Nothing to do."""

    def teardown(self) -> None:
        """Nothing to do."""

    def get_device_stats(self, device: Any) -> dict[str, Any]:
        """None."""
        return {}

    @staticmethod
    def parse_devices(devices: Any) -> Any:
        return devices

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        return [device()]

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return NAME
