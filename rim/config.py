"""Every setting of a run: one dataclass per section, a sentence and a unit under each field.

Marks in the sentences: [paper] is stated in arXiv 2605.30343; [open] is stated nowhere reliable and
therefore a field; `docs/open-choices.md` lists those. Reading files and overrides is `settings.py`.
This file imports nothing heavy, so that `--help` answers at once.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from omegaconf import MISSING


@dataclass
class Run:
    """Where the run lives."""

    name: str = "run"
    """Name of the run; its folder is `<folder>/<name>`."""
    folder: str = "runs"
    """Folder of all runs."""
    seed: int = 0
    """Seed of weights, order of examples, dropout and noise."""


@dataclass
class Tracking:
    """The generated task *tracking*: an object changes hands as people swap; who has it in the end?"""

    people: int = 6
    """Number of people, 3 to 8."""
    min_steps: int = 1
    """Fewest swaps in a story of train, validation and test."""
    max_steps: int = 4
    """Most swaps in a story of train, validation and test."""
    ood_steps: int = 6
    """Most swaps of the out-of-distribution test, which begins at `max_steps` + 1."""
    seed: int = 0
    """Seed of the stories; another seed gives other stories."""
    train_rows: int = 100_000
    """Rows of the training split."""
    test_rows: int = 1_000
    """Rows of each of validation, test and ood."""


@dataclass
class Arithmetic:
    """The generated task *arithmetic*: a chain of operations on whole numbers, told as a story."""

    min_steps: int = 1
    """Fewest operations in a story of train, validation and test."""
    max_steps: int = 4
    """Most operations in a story of train, validation and test."""
    ood_steps: int = 6
    """Most operations of the out-of-distribution test, which begins at `max_steps` + 1."""
    max_number: int = 20
    """Largest number that a story adds or takes away, and the largest it starts with."""
    max_value: int = 100
    """Largest intermediate value; no value is negative."""
    seed: int = 0
    """Seed of the stories; another seed gives other stories."""
    train_rows: int = 100_000
    """Rows of the training split."""
    test_rows: int = 1_000
    """Rows of each of validation, test and ood."""


@dataclass
class Own:
    """The task `own`: rows in JSON-lines files of yours, each `{"question", "steps" (optional), "answer"}`."""

    train: str | None = None
    """File of `own/train`; a path counts from the folder in which the command runs."""
    validation: str | None = None
    """File of `own/validation`."""
    test: str | None = None
    """File of `own/test`."""
    answer_rule: str = "text"
    """How answers are graded, by name: text, integer, number, ...; a wrong name lists all."""


@dataclass
class Data:
    """Which examples, in which form, and what is done with those that do not fit."""

    train: str = "tracking/train"
    """Training source, `task/split`; or a mixture with weights, `gsm8k_aug/train:0.7 + prosqa/train:0.3`, or without,
    for shares by rows."""
    validation: str = "tracking/validation"
    """Held-out source that chooses the checkpoint, `task/split`; never a test split. Several, `a/b + c/d`, choose by
    all of their rows together."""
    test: list[str] = field(default_factory=lambda: ["tracking/test"])
    """Sources scored at the end, each `task/split`."""
    root: str | None = None
    """Folder with local copies of published data sets; empty: read from the Hugging Face hub."""
    revisions: list[str] = field(default_factory=list)
    """Tables of the hub read at another revision than the pinned one, each `owner/name@revision`."""
    steps: Literal["equations", "sentences", "results", "decompositions", "facts"] = "equations"
    """Form of the reasoning steps: one that the task has; results are what stands right of the equations' last `=`. In
    a mixture, sources without it have their own first form."""
    train_rows: int | None = None
    """At most this many training rows per source, the first ones; empty: all."""
    validation_rows: int | None = 264
    """At most this many held-out rows per source, drawn by seed; 264 is the paper's number. Empty: all."""
    test_rows: int | None = None
    """At most this many rows per test source, the first ones; empty: all."""
    max_steps: int = 13
    """Longest chain of steps that trains [paper: up to 13 blocks in grounding]."""
    over_steps: Literal["drop", "cap"] = "drop"
    """A longer chain is dropped, or capped to its first `max_steps` steps; both are counted [open]."""
    max_question_tokens: int = 512
    """Training questions with more tokens are dropped and counted."""
    max_step_tokens: int = 128
    """Training examples with a longer step are dropped and counted, in tokens."""
    max_answer_tokens: int = 32
    """Training examples with a longer answer are dropped and counted, in tokens."""
    question_end: str = "\n"
    """Text between the question and what follows it [open]."""
    cache: str = ".cache/rim"
    """Folder of encoded data, keyed by everything that changes it."""
    workers: int = 0
    """Loader processes; 0 lays examples out in the training process."""
    own: Own = field(default_factory=Own)
    """The task `own`, in your own files."""
    modules: list[str] = field(default_factory=list)
    """Python files that each define a `TASK` of yours, found by its name."""
    tracking: Tracking = field(default_factory=Tracking)
    """The generated task `tracking`."""
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    """The generated task `arithmetic`."""


@dataclass
class Lora:
    """Low-rank adapters, through peft."""

    rank: int = 128
    """Rank of every adapter [paper]."""
    alpha: int = 32
    """Scale; an adapter is multiplied by alpha / rank [open]."""
    dropout: float = 0.1
    """Dropout before every adapter; a stage may set another [open]."""
    targets: list[str] = field(default_factory=lambda: ["all-linear"])
    """Module names, or `all-linear`: every attention and MLP projection [open]."""


@dataclass
class Scratch:
    """A model with random weights."""

    shape: Literal["gpt2", "llama", "qwen"] = "gpt2"
    """Architecture."""
    layers: int = 8
    """Number of blocks of the transformer."""
    width: int = 64
    """Hidden size."""
    heads: int = 4
    """Attention heads."""
    key_value_heads: int | None = None
    """Key and value heads of llama and qwen; empty: as many as heads."""
    feedforward: int | None = None
    """Width of the MLP; empty: 4 x width."""
    positions: int = 512
    """Longest sequence, in positions."""
    vocabulary: int = 1000
    """Most entries of the tokenizer that is built from the training text."""
    tied: bool = True
    """Whether input and output embeddings are one matrix."""
    dropout: float = 0.0
    """Dropout of the model; a stage may set another."""
    spread: float | None = None
    """Standard deviation of the initial weights; empty: 1 / sqrt(width), since 0.02 starves narrow models."""


@dataclass
class Backbone:
    """The causal language model."""

    source: Literal["pretrained", "scratch"] = "pretrained"
    """Weights from a hub name or folder, or random weights of the shape below."""
    name: str = "openai-community/gpt2"
    """Hub name or local folder of a pretrained model and its tokenizer."""
    revision: str | None = None
    """Revision of the hub model; empty: the newest."""
    start_from: str | None = None
    """Run folder (or file of its `weights/`) whose weights training begins with; empty: those of the source."""
    training: Literal["lora", "full"] = "lora"
    """Adapters plus the three memory rows, or every weight."""
    attention: str = "sdpa"
    """Attention implementation; must honour a four-dimensional mask: sdpa or eager."""
    lora: Lora = field(default_factory=Lora)
    """Adapters, where training is lora."""
    scratch: Scratch = field(default_factory=Scratch)
    """Shape, where source is scratch."""


@dataclass
class Memory:
    """The memory blocks."""

    blocks: int = 8
    """Number of blocks K after a question in refinement and at inference [paper]."""
    tokens_per_block: int = 2
    """Copies M of the memory token in a block [paper]."""
    readout_sees_question: bool = True
    """Whether a readout attends to the question as well as to the blocks [open]."""
    readout_position: Literal["after_block", "after_last_block"] = "after_block"
    """Where the positions of a readout begin: after its own block, or after block K [open]."""
    placement: Literal["after_question", "before_question", "sentence_ends"] = "after_question"
    """Where blocks stand: after the question [paper], before it, or spread over the ends of its sentences."""
    tokens: Literal["shared", "per_slot", "per_slot_and_block"] = "shared"
    """One memory token for all M slots of all blocks [paper], one for each slot, or one for each slot of each block."""
    insertion_layer: int = 0
    """Layer at whose input the blocks enter, 0 to layers - 1; below it they do not exist. 0: as tokens [paper]."""
    insertion_position: bool = True
    """Whether blocks that enter above layer 0 get the embedding of their position, where a model adds one (gpt2)."""


@dataclass
class Method:
    """How a model is taught to answer."""

    name: Literal[
        "memory_blocks", "looped", "direct", "cot", "pause", "pause_curriculum", "icot", "coconut", "codi"
    ] = "memory_blocks"
    """How a model is taught to answer: RiM, or one of its neighbours; each is a file of `rim/methods`."""
    grounding_target: Literal["next_step", "same_step"] = "next_step"
    """Grounding reads step t+1 after block t (the answer after the last), or step t [open]."""
    fade: Literal["relative", "absolute", "none"] = "relative"
    """Step t fades over t / T of the grounding stage, over t / `data.max_steps` of it, or never [open]."""
    fade_answer: bool = False
    """Whether the answer's readout fades in grounding like a step [open]."""
    block_weights: Literal["linear", "uniform", "last"] = "linear"
    """Refinement weights: 2k / (K(K+1)), 1 / K, or only the last block [open]."""
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
    """Weight of the distance to a written chain's states (memory_blocks, codi); empty: 1 for codi, else 0 [CODI]."""
    teacher: float = 1.0
    """Weight of the written chain's own loss where there is a distillation [CODI: 1]."""
    loops: int = 6
    """Passes over the blocks, each adding the last one's output to its input (looped) [LOTUS: 6]."""
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
    """What is predicted: steps or answers after blocks, the answer, the written chain, a chain that is removed token by
    token or replaced by latents, or an answer beside a chain that teaches it."""
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


@dataclass
class Training:
    """Optimisation, validation, saving and the machine."""

    duration: str | None = "8 epochs"
    """Length that stages given in per cent refer to: steps, examples or epochs [paper: 6 + 2 epochs]."""
    batch_size: int = 128
    """Examples per update, over all devices together [paper]."""
    micro_batch_size: int | None = None
    """Examples per forward pass on one device; empty: batch_size / devices."""
    weight_decay: float = 0.0
    """AdamW weight decay, on matrices only."""
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    """AdamW decay rates of the two moments."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 switches clipping off."""
    validate_every: str = "10%"
    """Distance of held-out scores, a duration; per cent are of the stage."""
    save_every: str = "5%"
    """Distance of checkpoints to resume from, a duration; per cent are of the stage."""
    log_every: int = 10
    """Updates between two lines of the curve."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """fp32, or bf16 arithmetic on fp32 weights (autocast)."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """Kind of device."""
    devices: int = 1
    """Processes, one device each; more than one runs under DDP."""
    threads: int | None = None
    """CPU threads of each process; empty: usable cores / devices. Too many cost a factor of 20."""


@dataclass
class Evaluation:
    """Scoring."""

    batch_size: int = 64
    """Questions answered together."""
    max_new_tokens: int | None = None
    """Longest answer, in tokens; empty: the longest training answer and its end, and a written chain's length."""
    controls: list[str] = field(default_factory=lambda: ["removed", "swapped", "noise"])
    """What is done to the blocks in further passes: removed, swapped, noise."""
    blocks: list[int] = field(default_factory=list)
    """Numbers of blocks that the finished model is also read with, besides `memory.blocks`."""
    rules: list[str] = field(default_factory=list)
    """Further answer rules reported beside the task's own, such as last_number; they never choose a checkpoint."""
    confidence: float = 0.95
    """Confidence of every interval."""
    selection_rows: int = 264
    """Rows that choose a checkpoint in each random split of the selection protocol [paper]."""
    selection_splits: int = 16
    """Random splits of the selection protocol [paper]."""
    probe_rows: int = 256
    """Rows of `data.validation` that fit the probe and choose the thresholds of `--adaptive`, drawn by seed [paper]."""
    probe_layer: int | None = None
    """Layer whose output the probe reads, counted from 0; empty: the last [open]."""


@dataclass
class Config:
    """A run."""

    run: Run = field(default_factory=Run)
    """Where the run lives."""
    data: Data = field(default_factory=Data)
    """Which examples."""
    backbone: Backbone = field(default_factory=Backbone)
    """Which model."""
    memory: Memory = field(default_factory=Memory)
    """The memory blocks."""
    method: Method = field(default_factory=Method)
    """How it is taught."""
    stages: list[Stage] = field(default_factory=list)
    """The curriculum, in order; empty: the method's own."""
    training: Training = field(default_factory=Training)
    """Optimisation and the machine."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    """Scoring."""


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
        **{name: [answers] for name in ("direct", "pause")},
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
