"""Check that the chosen method reads every stage and setting that is given, and can use it.

A rule is a generator of (path, sentence).
"""

import re
from collections.abc import Iterator

from rim.settings import Config
from rim.settings.checks.memory import listed
from rim.settings.duration import updates

OBJECTIVES = {
    "memory_blocks": ("grounding", "refinement"),
    "looped": ("grounding", "refinement"),
    "direct": ("answer",),
    "repeat": ("answer",),
    "cot": ("chain",),
    "pause": ("answer",),
    "pause_curriculum": ("chain", "latent"),
    "icot": ("chain", "removal", "answer"),
    "coconut": ("chain", "latent"),
    "codi": ("distillation",),
}
"""Objectives of stages that belong to each method."""
OF_STEPS = ("grounding", "chain", "removal", "distillation")
"""Objectives that teach the steps of examples. `latent` does where it replaces some of them; where it replaces all, the
answer alone is taught."""


def steps_taught(config: Config) -> str | None:
    """The first setting by which steps are taught, as `path=value`; None: they have no part in the training."""
    for index, stage in enumerate(config.stages):
        if stage.objective in OF_STEPS:
            return f"stages[{index}].objective={stage.objective}"
        if stage.replaced_steps is not None:
            return f"stages[{index}].replaced_steps={stage.replaced_steps}"
    for field in ("parallel_steps", "distillation", "refinement_steps"):
        if value := getattr(config.method, field):
            return f"method.{field}={value:g}"
    return None


def fitting(config: Config) -> Iterator[tuple[str, str]]:
    """Stages whose names clash, or whose objective belongs to another method."""
    allowed = OBJECTIVES[config.method.name]
    names = [stage.name for stage in config.stages]
    for index, stage in enumerate(config.stages):
        if not re.fullmatch(r"[\w.-]+", stage.name):
            yield f"stages[{index}].name", "stands in file names: letters, digits, and . _ - only"
        elif stage.name in names[:index]:
            yield f"stages[{index}].name", f"stages[{names.index(stage.name)}] has this name; every stage needs its own"
        if stage.objective not in allowed:
            owner = next(name for name, objectives in OBJECTIVES.items() if stage.objective in objectives)
            yield (
                f"stages[{index}].objective",
                f"method {config.method.name} has {', '.join(allowed)}; {stage.objective} belongs to method {owner}. "
                f"stages=[] takes the method's own stages, in per cent of training.duration "
                f"(now {config.training.duration or 'empty'})",
            )


def durations(config: Config) -> Iterator[tuple[str, str]]:
    """Lengths that do not parse, or that are a share of nothing."""
    for name in ("validate_every", "save_every", "keep_every"):
        if (distance := getattr(config.training, name)) is not None:
            yield from _duration(f"training.{name}", distance, least=1)
    whole = config.training.duration
    if whole is not None:
        yield from _duration("training.duration", whole, least=1)
        if "%" in whole:
            yield "training.duration", "is what per cent of stages refer to: write steps, examples or epochs"
    for index, stage in enumerate(config.stages):
        path = f"stages[{index}].duration"
        yield from _duration(path, stage.duration, least=1)
        yield from _duration(f"stages[{index}].warmup", stage.warmup, least=0)
        if "%" in stage.duration and whole is None:
            yield path, "is per cent of nothing: set training.duration, or write steps, examples or epochs"


def _duration(path: str, text: str, least: int) -> Iterator[tuple[str, str]]:
    """A duration that does not parse, is shorter than `least` updates, or more than all of what it is a part of."""
    try:
        length = updates(text, batch_size=1, rows=1, whole=1_000_000)
    except ValueError as error:
        yield path, str(error)
        return
    if length < least:
        yield path, "must be longer than 0"
    if "%" in text and length > 1_000_000:
        yield path, "must be at most 100%"


def settings(config: Config) -> Iterator[tuple[str, str]]:
    """Settings that the chosen method would not read, or cannot use."""
    method = config.method
    for field in ("parallel_steps", "refinement_steps", "teacher", "removal_smoothing", "distillation"):
        if (value := getattr(method, field)) is not None and not 0 <= value < float("inf"):
            yield f"method.{field}", "must be 0 or more"
    if method.parallel_steps and method.name not in ("memory_blocks", "looped"):
        yield (
            "method.parallel_steps",
            f"reads steps off memory blocks, and method {method.name} grounds none in steps; set 0",
        )
    if method.distillation and method.name not in ("memory_blocks", "codi"):
        yield "method.distillation", f"belongs to methods memory_blocks and codi, not to {method.name}; leave it empty"
    if method.name == "codi" and method.latents < 1:
        yield (
            "method.latents",
            "must be at least 1: codi projects states into latents; without latents it is method direct",
        )
    if method.name == "repeat" and method.repeats == 1:
        yield "method.repeats", "must be at least 2: a question that is read once is method direct"
    yield from _readouts_of_steps(config)
    yield from _last_stage(config)


def _readouts_of_steps(config: Config) -> Iterator[tuple[str, str]]:
    """Weights of steps that are no weights, or that no stage reads."""
    method = config.method
    if not 0 <= method.fade_floor <= 1:
        yield "method.fade_floor", "lies between 0 and 1: steps fade from 1 down to it"
    elif method.fade_floor and method.fade == "none":
        yield "method.fade_floor", "belongs to method.fade=relative or absolute: with none no step fades; set 0"
    for field, objective in (("fade_floor", "grounding"), ("refinement_steps", "refinement")):
        if getattr(method, field) and all(stage.objective != objective for stage in config.stages):
            owners = listed(tuple(name for name, objectives in OBJECTIVES.items() if objective in objectives))
            yield f"method.{field}", f"acts in stages of objective {objective} ({owners}), and there is none; set 0"


def _last_stage(config: Config) -> Iterator[tuple[str, str]]:
    """The finished model answers as the last stage has taught it to."""
    for index, stage in enumerate(config.stages):
        path = f"stages[{index}].replaced_steps"
        if stage.replaced_steps is not None and stage.objective != "latent":
            yield path, f"belongs to objective latent, not to {stage.objective}; leave it empty"
        elif stage.replaced_steps is not None and stage.replaced_steps < 1:
            yield path, "must be at least 1; chains without latents are objective chain"
    last = config.stages[-1] if config.stages else None
    if last is None or config.method.name not in ("pause_curriculum", "coconut", "icot"):
        return
    path, wanted = f"stages[{len(config.stages) - 1}]", "answer" if config.method.name == "icot" else "latent"
    if last.objective != wanted:
        yield f"{path}.objective", f"method {config.method.name} ends in objective {wanted}"
    if last.replaced_steps is not None:
        yield f"{path}.replaced_steps", "must be empty in the last stage: all steps are replaced"
