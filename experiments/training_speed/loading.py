"""How long the trainer waits for data, on the demo's configuration and the demo's own training step."""

import time
from dataclasses import replace
from pathlib import Path

import torch
from pairs import WARM_UP, Pairs

from rim.backbone.backbone import Backbone
from rim.backbone.load import load_backbone, load_tokenizer
from rim.data.prepare import Splits, prepare, training_texts
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings import Config
from rim.settings.load import load
from rim.training.datamodule import DataModule
from rim.training.plan import make_plan
from rim.tree import TreeBatch

DEMO = Path(__file__).parents[2] / "conf" / "demo.yaml"
ROWS = 5_000
"""Training rows: enough for the lengths to be the demo's; more would only take longer to encode."""


def waiting(cache: Path, seed: int, updates: int) -> list[Pairs]:
    """Time in the loader against the whole step, in every stage, laid out in this process and in one of its own."""
    demo = load([DEMO], [f"data.cache={cache}", f"data.tracking.train_rows={ROWS}", f"run.seed={seed}"])
    tokenizer = load_tokenizer(demo.backbone, lambda: training_texts(demo.data, ROWS))
    splits = prepare(demo.data, tokenizer, seed)
    method = build_method(demo, tokenizer)
    results = []
    for workers in (0, 1):
        config = replace(demo, data=replace(demo.data, workers=workers))
        for stage in range(len(config.stages)):
            backbone = load_backbone(config.backbone, tokenizer, seed)
            data = _loader(config, splits, method, backbone, stage)
            results.append(_measure(data, Step(method, backbone, config), updates))
    return results


def _loader(config: Config, splits: Splits, method: Method, backbone: Backbone, stage: int) -> DataModule:
    """The first segment of a stage, as training builds it."""
    plan = make_plan(config.stages, config.training, len(splits.train))
    return DataModule(splits, config, method.layout, plan, lambda: plan.stages[stage].first, backbone.special.pad)


class Step:
    """A whole update: forward, backward, clipping, AdamW."""

    def __init__(self, method: Method, backbone: Backbone, config: Config) -> None:
        self.method, self.backbone, self.clip = method, backbone, config.training.clip
        betas = (config.training.betas[0], config.training.betas[1])
        self.optimizer = torch.optim.AdamW(backbone.parameters(), lr=1e-4, betas=betas)

    def __call__(self, trees: TreeBatch) -> None:
        """One update on a batch."""
        self.optimizer.zero_grad()
        losses = self.method.losses(self.backbone, trees)
        (losses.total / losses.count).backward()
        torch.nn.utils.clip_grad_norm_(self.backbone.parameters(), self.clip)
        self.optimizer.step()


def _measure(data: DataModule, step: Step, updates: int) -> Pairs:
    stage, workers = data.plan.at(data.updates()).stage, data.config.data.workers
    loader = iter(data.train_dataloader())
    waited, whole = [], []
    for _ in range(WARM_UP + updates):
        start = time.perf_counter()
        batch = next(loader)
        arrived = time.perf_counter()
        step(batch.trees)
        waited.append(arrived - start)
        whole.append(time.perf_counter() - start)
    what = f"loader, {stage.objective}, workers={workers}"
    return Pairs(what, "waiting", "whole step", waited[WARM_UP:], whole[WARM_UP:], bar=0.05)
