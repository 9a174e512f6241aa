"""Prints what a run consists of, and draws its training trees, before the first update."""

from collections.abc import Iterable

import torch

from rim.backbone.adapters import adapted, in_words
from rim.backbone.tokenizer import token_text
from rim.base.tree import Tree
from rim.base.vocabulary import taken
from rim.data.encode import EncodedExample
from rim.data.joined import JoinedSplit, Split
from rim.evaluation.device import scoring_device
from rim.report.figures.outline import tree_text
from rim.report.figures.tree import tree_cards
from rim.settings import Training
from rim.settings.progress import Progress
from rim.training.datamodule import tokens_per_line
from rim.training.events import Chart, RunLogger, add_charts
from rim.training.plan import StagePlan
from rim.training.prepared import Prepared


def print_run_header(prepared: Prepared, updates: int) -> None:
    """Print the run in a screen: folder, data with what was left out, model, batch, plan."""
    config, training = prepared.config, prepared.config.training
    trained, whole = _parameters(prepared)
    print(f"run           {prepared.folder.path}, seed {config.run.seed}, method {config.method.name}")
    for role, split in prepared.splits.named():
        print(f"{role:<13} " + str(split.report).replace("\n", f"\n{'':14}"))
    print(
        f"backbone      {prepared.backbone.config.model_type}, {whole:,} weights, {trained:,} trained "
        f"({config.backbone.training}), {training.precision}, {prepared.threads} CPU threads"
    )
    for line in (*_adapter_lines(prepared), *slow_precision(training)):
        print(line)
    if former := taken(prepared.backbone.tokenizer):
        print(f"memory        in the places of {', '.join(f'{old} ({new})' for new, old in former.items())}")
    if config.backbone.start_from is not None:
        print(f"start         from the weights of {config.backbone.start_from}")
    print(
        f"batch         {training.batch_size} examples an update on {_devices(training)}, lines of "
        f"{tokens_per_line(config)} tokens or the longest example, passes of {_passes(training)}"
    )
    for plan in prepared.plan.stages:
        print(
            f"stage {plan.index + 1}       {plan.stage.name}: {plan.length:,} updates, {peak_rate(plan)}, dropout "
            f"{_rate(plan.stage.dropout)}"
        )
    if updates:
        changed = "".join(f"; {line}" for line in prepared.folder.changed_settings(config))
        print(f"resumed       after update {updates:,} of {prepared.plan.length:,}{changed}")
    print(end="", flush=True)


def draw_example(prepared: Prepared, events: RunLogger) -> None:
    """Put the tree and mask of one example per stage and source, as trained, and the settings into TensorBoard."""
    writer, quantities = events.experiment, {}
    label = token_text(prepared.backbone.tokenizer)
    firsts = _firsts(prepared.splits.train)
    for plan in prepared.plan.stages:
        stage = plan.stage
        trees = {below: prepared.method.layout(example, plan.progress(0)) for below, example in firsts.items()}
        quantities[stage.name] = _quantities(prepared, plan.progress(0), trees.values())
        for below, tree in trees.items():
            for name, figure in tree_cards(tree, label).items():
                writer.add_figure(f"{stage.name}/{name}{below}", figure, 0)
            writer.add_text(f"{stage.name}/tree{below}", _fenced(tree_text(tree, label)), 0)
    add_charts(events, quantities)
    writer.add_text("settings", _fenced(prepared.folder.config_file.read_text(encoding="utf-8")), 0)


def _quantities(prepared: Prepared, progress: Progress, trees: Iterable[Tree]) -> list[Chart]:
    """What a stage has several values of: answers, numbers of steps, sources, and readouts in its loss."""
    branches = prepared.method.prompt(prepared.splits.train[0], progress.stage).branches
    present = {
        Chart.ACCURACY_BY_BLOCK: len(branches) > 1,
        Chart.ACCURACY_BY_STEPS: True,
        Chart.ACCURACY_BY_SOURCE: isinstance(prepared.splits.validation, JoinedSplit),
        Chart.LOSS_BY_READOUT: any(node.readout for tree in trees for node in tree.nodes),
        Chart.LOSS_WEIGHTS: bool(prepared.method.weights_at(progress, prepared.longest_chain)),
    }
    return [name for name, given in present.items() if given]


def _firsts(train: Split) -> dict[str, EncodedExample]:
    """The first example of every source, under `/source` in a mixture."""
    if isinstance(train, JoinedSplit):
        return {f"/{part.report.source}": part[0] for part in train.parts}
    return {"": train[0]}


def _fenced(text: str) -> str:
    return "    " + text.replace("\n", "\n    ")


def slow_precision(training: Training) -> list[str]:
    """A warning where bf16 is asked of a CPU without instructions for it, which takes many times as long as fp32."""
    on_cpu = scoring_device(training.accelerator).type == "cpu"
    if training.precision == "fp32" or not on_cpu or cpu_has_bf16():
        return []
    return ["precision     this CPU has no instructions for bf16: training.precision=fp32 is up to 20 times as fast"]


def cpu_has_bf16() -> bool:
    """Whether oneDNN multiplies in bf16 here; true where torch has no oneDNN to say so."""
    return not torch.backends.mkldnn.is_available() or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _devices(training: Training) -> str:
    machines = f"{training.nodes} machines of " if training.nodes > 1 else ""
    return f"{machines}{training.devices} device(s)"


def _passes(training: Training) -> str:
    given = training.tokens_per_pass
    return "as many as fit" if given is None else f"up to {given:,}"


def _parameters(prepared: Prepared) -> tuple[int, int]:
    """Numbers of trained and of all weights."""
    parameters = list(prepared.backbone.parameters())
    return sum(p.numel() for p in parameters if p.requires_grad), sum(p.numel() for p in parameters)


def _adapter_lines(prepared: Prepared) -> list[str]:
    """Which projections have adapters, type and dropout of the frozen base; nothing where every weight trains."""
    targets, lora = adapted(prepared.backbone), prepared.config.backbone.lora
    if not targets.names:
        return []
    rate = "of its own rates" if lora.base_dropout is None else f"{lora.base_dropout:g}"
    dtype = prepared.config.backbone.dtype
    return [f"adapters      rank {lora.rank} on {in_words(targets.names)}", f"frozen base   {dtype}, dropout {rate}"]


def peak_rate(plan: StagePlan) -> str:
    """The highest learning rate of a stage, which a warm-up longer than the stage does not reach."""
    rate = plan.stage.learning_rate
    if plan.warmup <= plan.length:
        return f"learning rate {rate:g} after {plan.warmup} of warm-up"
    reached = rate * plan.length / plan.warmup
    return f"learning rate up to {reached:g} (a warm-up of {plan.warmup} updates would reach {rate:g})"


def _rate(dropout: float | None) -> str:
    return "unchanged" if dropout is None else f"{dropout:g}"
