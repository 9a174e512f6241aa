"""Settings of optimisation, of saving, and of the machine."""

from dataclasses import dataclass, field
from typing import Literal

LOGGERS = ("tensorboard", "csv", "wandb", "mlflow")
"""Where a run can be logged, beside its curve."""


@dataclass
class Training:
    """Optimisation, validation, saving and the machine."""

    duration: str | None = "8 epochs"
    """Length that stages given in per cent refer to: steps, examples or epochs [paper: 6 + 2 epochs]."""
    batch_size: int = 128
    """Examples per update, over all devices together [paper]."""
    tokens_per_line: int | None = None
    """Tokens of a line, in which examples stand side by side; where one is longer, all lines are as long as it is.
    Empty: 512, and of a narrow model from scratch twice its width."""
    tokens_per_pass: int | None = None
    """Tokens that a device reads at once, padding included (lines x their length), one line at least; empty: on a GPU
    as many as its memory has room for, found by a trial when a stage begins, elsewhere 16,384. It changes no result
    but the noise of dropout."""
    weight_decay: float = 0.0
    """AdamW weight decay, on matrices only."""
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    """AdamW decay rates of the two moments."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 switches clipping off."""
    validate_every: str = "10%"
    """Distance of validation scores, a duration; per cent are of the stage."""
    save_every: str = "5%"
    """Distance of checkpoints to resume from, a duration; per cent are of the stage."""
    keep_every: str | None = None
    """Distance of checkpoints that are kept beside the best and the last of a stage, a duration; per cent are of the
    stage. Each is as large as those; empty: none."""
    log_every: int = 10
    """Updates between two lines of the curve."""
    loggers: list[str] = field(default_factory=lambda: ["tensorboard"])
    """Where scalars go beside the curve: tensorboard (which has figures, too), csv, wandb, mlflow; [] for nowhere."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """fp32, or bf16 arithmetic on fp32 weights (autocast)."""
    checkpointing: Literal["none", "full"] = "none"
    """Activation checkpointing: full keeps the inputs of layers alone, and computes the rest again for gradients."""
    compile: bool = False
    """Run the layers under torch.compile in training: the same losses and gradients; the first updates take minutes."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """Kind of device."""
    nodes: int = 1
    """Machines that train together, each with `devices` processes; docs/clusters.md says how they are started."""
    devices: int = 1
    """Processes of a machine, one device each; more than one process runs under DDP."""
    strategy: Literal["ddp", "sharded"] = "ddp"
    """What several processes share: ddp, the examples; sharded, also weights, gradients and moments (FSDP2)."""
    threads: int | None = None
    """CPU threads of each process; empty: OMP_NUM_THREADS, or usable cores / devices. Too many cost a factor of 20."""

    @property
    def sharded(self) -> bool:
        """Whether each process has a slice of the weights."""
        return self.strategy == "sharded"

    @property
    def processes(self) -> int:
        """Processes on all machines together, among which an update and a validation are divided."""
        return self.nodes * self.devices
