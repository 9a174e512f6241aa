"""Trains a run from its settings: build the parts, check them, train or resume, and score the result."""

import shlex
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException

from rim.backbone.adapters import adapted
from rim.backbone.checkpointing import checkpoint_layers
from rim.backbone.compiled import require_compiler
from rim.backbone.fast import decoder
from rim.backbone.load import load_backbone
from rim.backbone.selfcheck import self_check
from rim.backbone.sharding import in_step
from rim.base.files import remove_scraps, write_json
from rim.base.quiet import quiet_libraries
from rim.data.prepare import prepare, require_steps, training_texts
from rim.evaluation.device import scoring_device
from rim.methods.registry import build_method
from rim.runs.checkpoint import CheckpointError
from rim.runs.environment import describe, use_threads
from rim.runs.folder import RunFolder
from rim.runs.lock import alone
from rim.runs.world import find_world, is_first_process
from rim.settings import Config
from rim.settings.checks import steps_taught
from rim.training.curriculum import Curriculum, Interrupted
from rim.training.datamodule import DataModule
from rim.training.dropout import check_rates
from rim.training.event_files import put_before_now
from rim.training.events import tensorboard
from rim.training.final_scores import score_test_sets
from rim.training.header import draw_example, print_run_header
from rim.training.lengths import check_lengths, longest_examples
from rim.training.logs import Logbook
from rim.training.module import NonFiniteLoss, RimModule
from rim.training.plan import make_plan
from rim.training.prepared import Prepared
from rim.training.processes import Agreement, View, end_together, told_when_one_is_lost
from rim.training.progress import StageProgress
from rim.training.saving import told_when_full
from rim.training.start import begin_with, find_start
from rim.training.trackers import open_loggers, require_loggers
from rim.training.trainer import make_trainer
from rim.training.trial import Trial

CHECKED = 4
"""Examples per stage in the self-check: the longest ones."""


def fit(config: Config) -> int:
    """Run or resume; returns the exit status: 0 when finished, 143 when stopped by SIGTERM.

    The status is the first process's: Lightning kills all processes as soon as another one ends with one of its own.

    Raises:
        WorldError: other processes were started than the settings ask for.
        RunBusy: another process trains this run.
        TogetherError: processes do not train the same run, or one of them has been lost.
        SaveError: the disk is full, or the run folder may only be read; the last checkpoint is intact.
    """
    quiet_libraries()
    folder = Path(config.run.folder) / config.run.name
    world = find_world(config.training)
    end_together(world)
    with alone(folder) if world.first else nullcontext(), told_when_one_is_lost(world), told_when_full(folder):
        return _fit(config)


def _fit(config: Config) -> int:
    prepared = prepare_run(config)
    updates, finished = _updates_done(prepared), prepared.folder.finished
    if is_first_process():
        print_run_header(prepared, updates)
    try:
        if not finished and (updates < prepared.plan.length or config.training.sharded):
            train(prepared, updates)
    except (Interrupted, NonFiniteLoss) as stop:  # in all processes alike
        if not is_first_process():
            return 0
        if isinstance(stop, NonFiniteLoss):
            raise
        print(stop, flush=True)
        return 143
    if is_first_process() and not config.training.sharded:
        use_threads(config.training.threads)  # the other processes have ended
    if is_first_process() or config.training.sharded:
        score_test_sets(prepared)
    return 0


def prepare_run(config: Config) -> Prepared:
    """Build all parts; user errors come up here, before any training."""
    threads = use_threads(config.training.threads, config.training.devices)
    decoder(config.evaluation.decode)  # one that is not to be had is refused before anything is read
    require_loggers(config.training.loggers)
    if config.training.compile:
        require_compiler(scoring_device(config.training.accelerator).type)
    folder = RunFolder(Path(config.run.folder) / config.run.name)
    first = is_first_process()
    folder.check_settings(config)
    start = find_start(folder, config.backbone)
    tokenizer = folder.tokenizer(config, lambda: training_texts(config.data))
    splits = prepare(config.data, tokenizer, config.run.seed)
    require_steps(splits.train, steps_taught(config))
    folder.check_rows(splits.reports())
    empty = config.training.sharded and not first
    backbone = load_backbone(config.backbone, tokenizer, config.run.seed, empty=empty)
    method = build_method(config, tokenizer)
    method.add_modules(backbone)
    if config.training.checkpointing == "full":
        checkpoint_layers(backbone)
    plan = make_plan(config.stages, config.training, len(splits.train))
    prepared = Prepared(config, folder, splits, backbone, method, plan, threads)
    check_lengths(prepared)
    if not empty:
        begin_with(start, backbone, config)
    if first:
        for place in (folder.path, folder.weights):
            remove_scraps(place)
        folder.begin(config, {**describe(), "threads": threads, "seed": config.run.seed, "command": _command()})
        folder.keep(backbone, start)
        if config.backbone.training == "lora":
            write_json(folder.path / "adapters.json", asdict(adapted(backbone)))
        if folder.keep_rows(splits.reports()):
            write_json(folder.path / "lengths.json", asdict(prepared.evaluator.lengths))
    return prepared


def _command() -> str:
    """The command that made the run, without the path of this machine's interpreter."""
    return shlex.join(["python", "-m", "rim.fit", *sys.argv[1:]])


def train(prepared: Prepared, updates: int) -> None:
    """Train what remains of the plan.

    Raises:
        Interrupted: SIGTERM arrived; the state is saved.
        NonFiniteLoss: a loss or gradient was not finite; the last checkpoint is intact.
    """
    config, folder = prepared.config, prepared.folder
    if is_first_process() and not config.training.sharded:
        prepared.backbone.to(scoring_device(config.training.accelerator))
        run_self_check(prepared)
    curriculum = Curriculum(folder.path)
    agreement = Agreement(View(config, prepared.splits.reports(), updates))
    logbook = Logbook(config, curriculum, folder.path, prepared.longest_chain)
    saved = LambdaCallback(on_train_batch_end=logbook.start_clock)
    callbacks = [agreement, logbook, StageProgress(curriculum), curriculum, saved]
    if config.training.sharded:
        callbacks.append(LambdaCallback(on_fit_start=lambda *_: run_self_check(prepared)))
    module = RimModule(
        prepared.backbone, prepared.method, prepared.plan, config, prepared.evaluator, prepared.splits.validation
    )
    module.updates = updates
    if is_first_process():
        put_before_now(folder.path)
    segments = prepared.plan.segments(updates)
    layout, pad = prepared.method.layout, prepared.backbone.special.pad
    room = Trial(module)
    data = DataModule(prepared.splits, config, layout, prepared.plan, lambda: module.updates, pad, room)
    try:
        opened: AbstractContextManager[list[Logger]]
        opened = open_loggers(config, folder, updates) if is_first_process() else nullcontext([])
        with curriculum.stop.listening(), opened as loggers:
            for events in () if updates else tensorboard(loggers):
                draw_example(prepared, events)
            trainer = make_trainer(
                config.training, folder.path, segments=segments, loggers=loggers, callbacks=callbacks
            )
            trainer.fit(module, data, ckpt_path=folder.resume if folder.resume.exists() else None)
    except SIGTERMException:  # it came while Lightning alone listened, and nothing has been trained since
        raise Interrupted(module.updates) from None


def run_self_check(prepared: Prepared) -> None:
    """The self-check, on the longest examples of every stage, on the device that will train.

    In the first process, or where weights are shared out in all of them alike.

    Raises:
        AttentionError: packed and separate passes differ on this backbone.
        BackboneError: a dropout rate does not act.
    """
    with in_step(prepared.backbone):
        check_rates(prepared.backbone, prepared.config, prepared.plan)
        for stage in prepared.plan.stages:
            examples = islice(longest_examples(prepared.splits.train), CHECKED)
            trees = [prepared.method.layout(example, stage.progress(0)) for example in examples]
            check = self_check(prepared.backbone, trees)
            if is_first_process():
                print(
                    f"self-check    {stage.stage.name}: packed = separate to {check.difference:.1g} "
                    f"({check.predictions} predictions, up to {check.longest} positions)",
                    flush=True,
                )


def _updates_done(prepared: Prepared) -> int:
    folder = prepared.folder
    if folder.finished:  # its checkpoint to resume from may have been removed
        return prepared.plan.length
    if not folder.resume.exists():
        return 0
    try:
        checkpoint: dict[str, Any] = torch.load(folder.resume, map_location="cpu", mmap=True, weights_only=True)
        return checkpoint["rim"]["updates"]
    except (RuntimeError, EOFError, UnpicklingError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"{folder.resume} is damaged, from which the run would go on ({reason}). It was whole when it was written: "
            f"bring a copy back if there is one. Otherwise remove it, and the run begins anew with the same settings; "
            f"the checkpoints in {folder.weights} can be used until then (python -m rim.evaluate --run {folder.path})"
        ) from error
