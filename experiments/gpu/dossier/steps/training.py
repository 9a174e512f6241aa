"""Training with LoRA in the shapes of GPT-2, Llama-3.2-1B and 3B: the run of conf/gsm8k.yaml on GSM8K's own rows.

Each objective is measured in the middle of its stage, where grounding has faded half of its steps, which is about its
mean. Validation, saving and scoring are not in it.
"""

import gc
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from dossier.profile import profiled
from dossier.report import Finding, Report, Result
from dossier.shapes import Shape
from dossier.sizes import size_of
from dossier.updates import Issued, Subject, Updates, issued, timed_updates
from rim.backbone.adapters import add_adapters
from rim.backbone.backbone import Backbone
from rim.backbone.load import load_backbone, load_tokenizer
from rim.backbone.tokenizer import Slots
from rim.data.prepare import Splits, prepare, training_texts
from rim.methods.registry import build_method
from rim.settings import Config
from rim.settings.load import load
from rim.studies.benchmark.workload import TEXTS, drawn_on, widen
from rim.training.plan import make_plan

OBJECTIVES = {
    "grounding": ("grounding", ()),
    "refinement": ("refinement", ()),
    "cot": ("chain", ("method.name=cot", "stages=[]")),
    "direct": ("answer", ("method.name=direct", "stages=[]")),
}
"""Objective of a stage, and overrides of its run: RiM's two stages, with CoT and direct answers beside them."""
ROWS = 385_620
"""Training rows of GSM8K-Aug, which the run of conf/gsm8k.yaml reads; GSM8K's own rows stand for them here."""


def run(report: Report) -> None:
    """Shape by shape."""
    size = size_of(report.task)
    units = {shape: {f"{shape}: {name}": name for name in OBJECTIVES} for shape in size.trained}
    report.names([unit for names in units.values() for unit in names])
    facts = dict(report.task.done)
    for shape, names in units.items():
        if any(map(report.open, names)):
            built = Built(report.task, size, shape)
            for unit, name in names.items():
                report.unit(unit, partial(measured, built, name, facts))
            del built
            gc.collect()


class Built(Shape):
    """A shape's model with adapters, and the data, made when they are first needed."""

    def config(self, name: str) -> Config:
        """The paper's run in this shape."""
        lora = ("backbone.training=lora", f"backbone.lora.rank={self.size.lora_rank}")
        own = (f"data.root={self.bench.root}", "data.test_rows=8", *lora, *self.size.training, *OBJECTIVES[name][1])
        return load(["conf/gsm8k.yaml"], [*self.bench.overrides, *own])

    @cached_property
    def tokenizer(self) -> Any:
        """One of GSM8K's rows."""
        config = self.config("grounding")
        return load_tokenizer(config.backbone, lambda: training_texts(config.data, TEXTS), Slots.of(config))

    @cached_property
    def splits(self) -> Splits:
        """The same for all objectives."""
        return prepare(self.config("grounding").data, self.tokenizer, 0)

    @cached_property
    def backbone(self) -> Backbone:
        """Random weights in fp32 on the device, as many rows of embeddings as the shape has, and adapters."""
        config = self.config("grounding")
        with drawn_on(self.task.device):
            plain = load_backbone(replace(config.backbone, training="full"), self.tokenizer, config.run.seed)
            widen(plain, self.bench.vocabulary or len(self.tokenizer))
            adapted = add_adapters(plain.model, config.backbone.lora, plain.special)  # type: ignore[arg-type]
        return Backbone(adapted, self.tokenizer, plain.special).to(self.task.device)

    def subject(self, name: str) -> Subject:
        """What is trained, as many tokens in a pass as memory has room for."""
        config = self.config(name)
        plan = make_plan(config.stages, config.training, ROWS)
        method = build_method(config, self.tokenizer)
        return Subject(config, self.backbone, method, self.splits, plan, self.task.work / "updates" / self.shape)


def measured(built: Built, name: str, facts: dict[str, Any]) -> Result:
    """Updates of an objective, and what a pass of them takes.

    Args:
        facts: of the units that are done, by name; gets those of this one.
    """
    subject = built.subject(name)
    stage = next(plan for plan in subject.plan.stages if plan.stage.objective == OBJECTIVES[name][0])
    middle = stage.first + stage.segment(stage.first + stage.length // 2).stop - stage.validate_every
    updates = timed_updates(subject, middle, built.size.least_updates, built.size.update_seconds)
    whole, new = issued(subject, updates.passes[0]), issued(subject, updates.later[0])
    own = {"seconds": updates.seconds, "hours": stage.length * updates.each / 3600, "updates": stage.length}
    facts[f"{built.shape}: {name}"] = own
    findings = [*_speed(subject, updates), *_host(whole, new), *_estimate(built.shape, name, facts)]
    return Result(findings, own, {"where the time of a pass goes": profiled(subject, updates.passes[0])})


def _speed(subject: Subject, updates: Updates) -> Iterator[Finding]:
    read = sum(part.trees.ids_BN.numel() for part in updates.passes)
    real = sum(int((part.trees.node_BN >= 0).sum()) for part in updates.passes)
    yield Finding("examples per second", subject.config.training.batch_size / updates.each)
    yield Finding("an update", 1e3 * updates.each, "ms")
    yield Finding("tokens per second", real / updates.each)
    yield Finding("useful share of tokens", real / read)
    yield Finding("waiting for data", sum(updates.waiting) / sum(updates.seconds))
    yield Finding("peak memory", updates.memory / 2**30, "GiB")
    yield Finding("passes of an update", len(updates.passes))


def _host(whole: Issued, new: Issued) -> Iterator[Finding]:
    yield Finding("a pass, until it is asked for", whole.asked, "ms")
    yield Finding("a pass, until it is done", whole.done, "ms")
    yield Finding("a pass of a shape that is new, until it is done", new.first, "ms")
    yield Finding("the same pass once more", new.done, "ms")


def _estimate(shape: str, name: str, facts: dict[str, Any]) -> Iterator[Finding]:
    """What the updates of conf/gsm8k.yaml take at this rate; validation, saving and scoring come on top."""
    own = facts[f"{shape}: {name}"]
    if name in ("grounding", "refinement"):
        yield Finding(f"conf/gsm8k.yaml: its {own['updates']:,} updates of {name}", own["hours"], "h")
    before = facts.get(f"{shape}: grounding")
    if name == "refinement" and before is not None:
        yield Finding("conf/gsm8k.yaml: all updates", own["hours"] + before["hours"], "h")
