"""How many tokens fit in a pass: tried out before a stage begins, where a device says that its memory is exhausted.

The stage's heaviest updates are read forward and backward, each in one pass at first, then in ever smaller ones until
they fit. No weight, gradient or random number is different afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from rim.base.errors import UserError
from rim.training.datamodule import TOKENS_PER_PASS, Cuts, Pass, TrainingBatch
from rim.training.dropout import use_dropout
from rim.training.module import RimModule
from rim.training.plan import StagePlan

MOMENTS = 2
"""Numbers that AdamW keeps of every weight."""


class MemoryExhausted(UserError):
    """Memory has no room for a single line."""


class Trial:
    """Finds the tokens of a pass for the stages of a run.

    Args:
        module: what trains, attached to its trainer.
    """

    def __init__(self, module: RimModule) -> None:
        self.module = module

    def __call__(self, stage: StagePlan, cut: Cuts, most: int | None) -> int:
        """As many tokens as fit in every process; on devices that do not say when memory is exhausted a plain number.

        Args:
            cut: the stage's heaviest updates, given the tokens of a pass.
            most: tokens to begin with; None: those of the heaviest update.

        Raises:
            MemoryExhausted: not even a line fits.
        """
        if not tells(self.module.device):
            return TOKENS_PER_PASS
        whole = max(tokens_of(part) for batch in cut(2**62) for part in batch.passes)
        tokens = min(most or whole, whole)
        while not self._fits(stage, batches := cut(tokens)):
            if all(len(part.trees.ids_BN) == 1 for batch in batches for part in batch.passes):
                raise MemoryExhausted(_advice(stage, max(tokens_of(batch.passes[0]) for batch in batches)))
            tokens //= 2
        tokens = least(tokens, self.module.device)
        passes = max(len(batch.passes) for batch in cut(tokens))
        if self.module.trainer.is_global_zero:
            print(
                f"passes        {stage.stage.name}: up to {tokens:,} tokens fit; the heaviest update has {whole:,}, in "
                f"{passes} pass(es)",
                flush=True,
            )
        return tokens

    def _fits(self, stage: StagePlan, batches: list[TrainingBatch]) -> bool:
        fits = True
        try:
            with self._as_in_an_update(stage):
                for batch in batches:
                    self._read(max(batch.passes, key=tokens_of))
        except torch.OutOfMemoryError:  # left before anything is freed, since it holds on to what was being done
            fits = False
        self.module.zero_grad()
        if self.module.device.type == "cuda":
            torch.cuda.empty_cache()
        return fits

    def _read(self, part: Pass) -> None:
        with self.module.trainer.precision_plugin.forward_context():
            total = self.module.method.losses(self.module.backbone, part.trees.to(self.module.device)).total
        total.backward()

    @contextmanager
    def _as_in_an_update(self, stage: StagePlan) -> Iterator[None]:
        """The stage's mode, and in memory what an update holds: gradients of earlier passes, and the optimiser's state.

        Random numbers are put back.
        """
        module, trained = self.module, [p for p in self.module.backbone.parameters() if p.requires_grad]
        module.backbone.train()
        use_dropout(module.backbone, module.config, module.plan, stage.index)
        begun = any(optimizer.state for optimizer in module.trainer.optimizers)
        with torch.random.fork_rng([module.device] if module.device.type == "cuda" else []):
            held = [torch.zeros_like(p) for p in trained for _ in range(0 if begun else MOMENTS)]
            for parameter in trained:
                parameter.grad = torch.zeros_like(parameter)
            yield
            del held


def tells(device: torch.device) -> bool:
    """Whether a program can go on after memory of the device was exhausted."""
    return device.type == "cuda"


def least(tokens: int, device: torch.device) -> int:
    """The least of all processes: a run keeps one number, with which each of them goes on."""
    found = torch.tensor(tokens, device=device)
    if dist.is_initialized():
        dist.all_reduce(found, op=dist.ReduceOp.MIN)
    return int(found)


def tokens_of(part: Pass) -> int:
    """Tokens of a pass, padding included."""
    return part.trees.ids_BN.numel()


def _advice(stage: StagePlan, tokens: int) -> str:
    return (
        f"memory has no room for a line of {tokens:,} tokens in stage '{stage.stage.name}', forward and backward: "
        "lower training.tokens_per_line where several examples stand in a line, or data.max_question_tokens, set "
        "backbone.training=lora or training.precision=bf16, or use a smaller model"
    )
