"""Settings of how a model is taught: the method, and the stages of its curriculum."""

from dataclasses import dataclass, replace
from typing import Literal

from omegaconf import MISSING


@dataclass
class Method:
    """How a model is taught to answer."""

    name: Literal[
        "memory_blocks", "looped", "direct", "repeat", "cot", "pause", "pause_curriculum", "icot", "coconut", "codi"
    ] = "memory_blocks"
    """How a model is taught to answer: RiM, or one of its neighbours; each is a file of `rim/methods`."""
    grounding_target: Literal["next_step", "same_step"] = "next_step"
    """Grounding reads step t+1 after block t (the answer after the last), or step t [open]."""
    fade: Literal["relative", "absolute", "none"] = "relative"
    """Step t fades over t / T of the grounding stage, over t / `data.max_steps` of it, or never [open]."""
    fade_floor: float = 0.0
    """Weight at which a step stops fading in grounding, from 0 to 1 (memory_blocks, looped)."""
    fade_answer: bool = False
    """Whether the answer's readout fades in grounding like a step [open]; with `fade: absolute` a chain that is shorter
    than `data.max_steps` then has no loss left before the stage ends."""
    block_weights: Literal["linear", "uniform", "last"] = "linear"
    """Refinement weights: 2k / (K(K+1)), 1 / K, or only the last block [open]."""
    refinement_steps: float = 0.0
    """Weight of each step's readout in refinement, beside the answers'; 0: answers alone (memory_blocks, looped)."""
    within_readout: Literal["mean", "sum"] = "mean"
    """A readout's loss is the mean or the sum over its tokens [open]."""
    across_readouts: Literal["weights", "readouts", "examples"] = "weights"
    """The update's loss is divided by the sum of weights, the number of readouts, or of examples [open]."""
    answer_cue: str = ""
    """Text that a readout of the answer begins with; given at inference, not trained [open]."""
    step_separator: str = "\n"
    """Text after each written step of a chain."""
    parallel_steps: float = 0.0
    """Weight of reading step t off all memory tokens of block t at once (memory_blocks, looped) [LOTUS: 0.05]."""
    distillation: float | None = None
    """Weight of the distance to a chain of thought's states (memory_blocks, codi); empty: 1 for codi, else 0 [CODI]."""
    teacher: float = 1.0
    """Weight of the chain of thought's own loss where there is a distillation [CODI: 1]."""
    loops: int = 6
    """Passes over the blocks, each adding the last one's output to its input (looped) [LOTUS: 6]."""
    repeats: int = 2
    """Times that the question is read before the answer (repeat)."""
    latents: int = 6
    """Latent positions once all steps are replaced (coconut, pause_curriculum, codi) [papers: 6]."""
    latents_per_step: int = 2
    """Latent positions for each replaced step, `latents` at most (coconut, pause_curriculum) [Coconut: 2]."""
    removed_per_epoch: int | None = 8
    """Chain tokens that go in an epoch; empty: `removal_limit` of them, evenly over the stage (icot) [iCoT: 8]."""
    removal_limit: int = 39
    """Once this many tokens are to be removed, the whole chain is (icot) [iCoT: 39]."""
    removal_smoothing: float = 4.0
    """λ of the random extra tokens that are removed: k more with probability ∝ exp(-λ k) (icot) [iCoT: 4]."""


@dataclass
class Stage:
    """One stage of the curriculum."""

    name: str = MISSING
    """Name in logs, files and the progress bar."""
    objective: Literal["grounding", "refinement", "answer", "chain", "removal", "latent", "distillation"] = MISSING
    """What is predicted: steps or answers after blocks, the answer, the chain of thought, a chain that is removed token
    by token or replaced by latents, or an answer beside a chain that teaches it."""
    duration: str = "1 epoch"
    """Length: `N steps`, `N examples`, `N epochs`, or `N%` of `training.duration`."""
    learning_rate: float = 1e-4
    """Peak learning rate [open; the paper searched 1e-5 to 1e-3]."""
    warmup: str = "4%"
    """Linear warm-up, a duration; per cent are of this stage [paper: 4 %]."""
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    """Learning rate after the warm-up: constant [paper], or falling to zero at the stage's end."""
    dropout: float | None = None
    """Dropout in this stage: of the adapters under lora, of the whole model otherwise; empty: unchanged [open]."""
    reset_optimizer: bool = True
    """Whether the stage begins with a fresh optimiser state [paper summaries]; objective removal: each removal, too."""
    replaced_steps: int | None = None
    """Written steps that latents stand for, the first ones (objective latent); empty: all of them."""


def default_stages(method: str, training: str = "lora") -> list[Stage]:
    """The curriculum of a method whose configuration names no stages, in per cent of `training.duration`.

    Of RiM the paper's 6 + 2 epochs; of the neighbours the order of their papers, in the same total length. RiM's
    dropout is that of adapters: where every weight trains, stages leave the model's own dropout as it is.
    """
    low, high = (0.05, 0.1) if training == "lora" else (None, None)
    answers = Stage("answer", "answer", duration="100%", learning_rate=5e-4)
    chains = Stage("chain", "chain", duration="100%", learning_rate=5e-4)
    blocks = [
        Stage("grounding", "grounding", duration="75%", learning_rate=5e-4, dropout=low),
        Stage("refinement", "refinement", duration="25%", learning_rate=1e-4, dropout=high),
    ]
    removal = [
        replace(chains, duration="20%"),
        Stage("removal", "removal", duration="60%", learning_rate=5e-4),
        replace(answers, duration="20%"),
    ]
    return {
        **{name: blocks for name in ("memory_blocks", "looped")},
        **{name: [answers] for name in ("direct", "repeat", "pause")},
        "cot": [chains],
        "icot": removal,
        **{name: _latent_stages() for name in ("coconut", "pause_curriculum")},
        "codi": [Stage("distillation", "distillation", duration="100%", learning_rate=5e-4)],
    }[method]


def _latent_stages() -> list[Stage]:
    """Chains, then one more step replaced in each stage, then all of them."""
    chains = Stage("chain", "chain", duration="25%", learning_rate=5e-4)
    steps = [Stage(f"latent_{n}", "latent", replaced_steps=n, duration="15%", learning_rate=5e-4) for n in (1, 2, 3)]
    return [chains, *steps, Stage("latent_all", "latent", duration="30%", learning_rate=5e-4)]
