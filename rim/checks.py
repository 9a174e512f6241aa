"""Contradictions that types cannot see, refused before anything is built: what, the rule, the way out.

Every rule is a generator of (path, sentence); `problems` is their sum.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from rim import answers, schema
from rim.check_memory import WITH_BLOCKS, listed, memory
from rim.config import Config, Scratch, Stage, Training
from rim.duration import updates
from rim.errors import SettingsError, UserError, did_you_mean
from rim.schema import shown

OBJECTIVES = {
    "memory_blocks": ("grounding", "refinement"),
    "looped": ("grounding", "refinement"),
    "direct": ("answer",),
    "cot": ("chain",),
    "pause": ("answer",),
    "pause_curriculum": ("chain", "latent"),
    "icot": ("chain", "removal", "answer"),
    "coconut": ("chain", "latent"),
    "codi": ("distillation",),
}
"""Objectives of stages that belong to each method."""
CONTROLS = ("removed", "swapped", "noise")
"""What evaluation can do to the blocks."""
ATTENTION = ("sdpa", "eager")
"""Attention implementations that honour a four-dimensional mask."""

_FROM_ZERO = {
    *("run.seed", "data.tracking.seed", "data.arithmetic.seed", "data.workers"),
    *("method.latents", "memory.insertion_layer", "evaluation.probe_layer"),
}
"""Whole numbers that may be 0; every other one is at least 1."""


def check(config: Config) -> None:
    """Refuse settings that cannot be used together.

    Raises:
        SettingsError: all that was found, a line each: path, value, rule, way out.
    """
    found = [text for _, text in problems(config)]
    if found:
        raise SettingsError("\n".join(found))


def problems(config: Config) -> Iterator[tuple[str, str]]:
    """(path, `path = value: rule`) of every setting that cannot be used."""
    rules = (
        *(_sizes, _names, _batches, _heads, _rates, _generated, _sources, _stages, _durations, _scoring, _methods),
        memory,
    )
    for rule in rules:
        for path, sentence in rule(config):
            yield path, f"{path} = {shown(value_at(config, path))}: {sentence}"


def value_at(config: Config, path: str) -> Any:
    """The value at a path such as `stages[0].name`."""
    node: Any = config
    for part in re.findall(r"[^.\[\]]+", path):
        node = node[int(part)] if part.isdecimal() else getattr(node, part)
    return node


def _sizes(config: Config) -> Iterator[tuple[str, str]]:
    for path, kind in schema.leaves():
        if int in schema.alternatives(kind) and path != "memory.blocks" and not path.startswith("stages"):
            value, least = value_at(config, path), 0 if path in _FROM_ZERO else 1
            if value is not None and value < least:
                yield path, f"must be at least {least}"
    if config.memory.blocks < 1:
        yield "memory.blocks", "must be at least 1; a model without blocks is method.name=direct"
    for path in ("training.weight_decay", "training.clip"):
        if not 0 <= value_at(config, path) < float("inf"):
            yield path, "must be 0 or more"


def _any_below_one(*sizes: int | None) -> bool:
    return any(size is not None and size < 1 for size in sizes)


def _names(config: Config) -> Iterator[tuple[str, str]]:
    if not re.fullmatch(r"[\w.+-]+(/[\w.+-]+)*", config.run.name) or ".." in config.run.name.split("/"):
        yield "run.name", "names a folder: letters, digits, and . _ + - only, with / between folders"
    if config.backbone.attention not in ATTENTION:
        hint = did_you_mean(config.backbone.attention, ATTENTION)
        allowed = " or ".join(ATTENTION)
        yield "backbone.attention", f"must be {allowed}: others do not honour a four-dimensional mask{hint}"
    if not config.backbone.lora.targets:
        yield (
            "backbone.lora.targets",
            "must name a module, or be [all-linear]; to train every weight: backbone.training=full",
        )


def _batches(config: Config) -> Iterator[tuple[str, str]]:
    training = config.training
    if _any_below_one(training.batch_size, training.devices, training.micro_batch_size):
        return  # refused as sizes
    if training.micro_batch_size is None:
        share, of = training.devices, f"devices = {training.devices}"
    else:
        share = training.devices * training.micro_batch_size
        of = f"devices x micro_batch_size = {training.devices} x {training.micro_batch_size} = {share}"
    if training.batch_size % share:
        below, above = training.batch_size // share * share, (training.batch_size // share + 1) * share
        near = f"{below} or {above}" if below else str(above)
        yield "training.batch_size", f"must be a multiple of {of}; {near} would do{_micro_batches(training)}"


def _micro_batches(training: Training) -> str:
    """Which micro-batch sizes fit the batch as it is."""
    per_device, rest = divmod(training.batch_size, training.devices)
    if rest or training.micro_batch_size is None:
        return ""
    fitting = [size for size in range(1, per_device + 1) if per_device % size == 0]
    near = sorted(sorted(fitting, key=lambda size: abs(size - training.micro_batch_size))[:4])  # type: ignore[operator]
    return f", or a micro_batch_size of {', '.join(map(str, near))}"


def _heads(config: Config) -> Iterator[tuple[str, str]]:
    shape = config.backbone.scratch
    if _any_below_one(shape.width, shape.heads, shape.key_value_heads):
        return  # refused as sizes
    if shape.width % shape.heads:
        fitting = ", ".join(str(heads) for heads in range(1, min(shape.width, 64) + 1) if shape.width % heads == 0)
        yield "backbone.scratch.heads", f"must divide width = {shape.width}: {fitting}"
    elif shape.shape != "gpt2" and shape.width // shape.heads % 2:
        size = shape.width // shape.heads
        yield (
            "backbone.scratch.heads",
            f"gives heads of width {size}, and {shape.shape}'s rotary positions need an even one",
        )
    yield from _key_value_heads(shape)


def _key_value_heads(shape: Scratch) -> Iterator[tuple[str, str]]:
    if shape.key_value_heads is not None and shape.heads % shape.key_value_heads:
        fitting = ", ".join(str(heads) for heads in range(1, shape.heads + 1) if shape.heads % heads == 0)
        yield "backbone.scratch.key_value_heads", f"must divide heads = {shape.heads}: {fitting}"


def _rates(config: Config) -> Iterator[tuple[str, str]]:
    dropouts = ["backbone.lora.dropout", "backbone.scratch.dropout"]
    dropouts += [f"stages[{i}].dropout" for i, stage in enumerate(config.stages) if stage.dropout is not None]
    for path in dropouts:
        if not 0 <= value_at(config, path) < 1:
            yield path, "a dropout is at least 0 and below 1"
    if not 0 < config.evaluation.confidence < 1:
        yield "evaluation.confidence", "lies between 0 and 1, such as 0.95"
    if len(config.training.betas) != 2 or not all(0 <= beta < 1 for beta in config.training.betas):
        yield "training.betas", "must be two numbers, each at least 0 and below 1, such as [0.9, 0.999]"
    for index, stage in enumerate(config.stages):
        if not 0 < stage.learning_rate < float("inf"):
            yield f"stages[{index}].learning_rate", "must be above 0"


def _generated(config: Config) -> Iterator[tuple[str, str]]:
    if not 3 <= config.data.tracking.people <= 8:
        yield "data.tracking.people", "must be 3 to 8"
    from rim.data.mixture import sources_in

    sources = {*sources_in(config.data.train), *sources_in(config.data.validation), *config.data.test}
    for name in ("tracking", "arithmetic"):
        task = getattr(config.data, name)
        if task.min_steps > task.max_steps:
            yield f"data.{name}.min_steps", f"must not be above data.{name}.max_steps = {task.max_steps}"
        if f"{name}/ood" in sources and task.ood_steps <= task.max_steps:
            yield f"data.{name}.ood_steps", f"must be above data.{name}.max_steps = {task.max_steps} for {name}/ood"


def _sources(config: Config) -> Iterator[tuple[str, str]]:
    from rim.data.example import own_tasks, parse_source  # the table of tasks knows the names

    for index, entry in enumerate(config.data.revisions):
        if not re.fullmatch(r"[\w.-]+/[\w.-]+@[\w./-]+", entry):
            yield f"data.revisions[{index}]", "is written owner/name@revision, such as openai/gsm8k@main"
    if config.data.own.answer_rule not in answers.RULES:
        yield "data.own.answer_rule", _known_rules(config.data.own.answer_rule)
        return
    try:
        own_tasks(config.data)
    except UserError as error:
        yield "data.modules" if config.data.modules else "data.own", str(error)
        return
    yield from _training(config)
    yield from _heldout(config)
    for index, source in enumerate(config.data.test):
        try:
            parse_source(source, config.data)
        except UserError as error:
            yield f"data.test[{index}]", str(error)
    for name, count in Counter(config.data.test).items():
        if count > 1:
            yield "data.test", f"'{name}' stands there {count} times; once will do"


def _training(config: Config) -> Iterator[tuple[str, str]]:
    """What trains: sources that may, and steps in a form that they have; of a mixture one of them has it."""
    from rim.data.example import parse_source
    from rim.data.mixture import training_parts

    try:
        sources = [part.source for part in training_parts(config.data.train)]
        tasks = [parse_source(source, config.data)[0] for source in sources]
    except UserError as error:
        yield "data.train", str(error)
        return
    closed = [sentence for source in sources for sentence in _closed(source, config, alone=len(sources) == 1)]
    yield from (("data.train", sentence) for sentence in closed)
    forms = {task.name: task.forms for task in tasks if task.forms}
    if not closed and forms and not any(config.data.steps in each for each in forms.values()):
        has = "; ".join(f"{name} has steps of no such form; it has {', '.join(each)}" for name, each in forms.items())
        yield "data.steps", has


def _heldout(config: Config) -> Iterator[tuple[str, str]]:
    from rim.data.mixture import heldout_parts

    try:
        sources = heldout_parts(config.data.validation)
        for source in sources:
            for sentence in _closed(source, config, alone=len(sources) == 1):
                yield "data.validation", sentence
    except UserError as error:
        yield "data.validation", str(error)


def _closed(source: str, config: Config, alone: bool) -> Iterator[str]:
    """Why a source may neither train nor choose; in a mixture it is named."""
    from rim.data.example import parse_source

    task, split = parse_source(source, config.data)
    if split in task.test_splits:
        others = ", ".join(f"{task.name}/{other}" for other in task.open_splits)
        use = f"use one of {others}" if others else "use another task"
        what = "a test split neither" if alone else f"{source} is a test split, which neither"
        yield f"{what} trains nor chooses a checkpoint; {use}"


def _stages(config: Config) -> Iterator[tuple[str, str]]:
    allowed = OBJECTIVES[config.method.name]
    names = [stage.name for stage in config.stages]
    for index, stage in enumerate(config.stages):
        if not re.fullmatch(r"[\w.-]+", stage.name):
            yield f"stages[{index}].name", "stands in file names: letters, digits, and . _ - only"
        elif stage.name in names[:index]:
            yield f"stages[{index}].name", f"stages[{names.index(stage.name)}] has this name; every stage needs its own"
        if stage.objective not in allowed:
            owner = next(name for name, objectives in OBJECTIVES.items() if stage.objective in objectives)
            rule = f"method {config.method.name} has {', '.join(allowed)}; {stage.objective} belongs to method {owner}"
            yield f"stages[{index}].objective", rule


def _durations(config: Config) -> Iterator[tuple[str, str]]:
    for name in ("validate_every", "save_every"):
        yield from _duration(f"training.{name}", getattr(config.training, name), least=1)
    whole = config.training.duration
    if whole is not None:
        yield from _duration("training.duration", whole, least=1)
        if "%" in whole:
            yield "training.duration", "is what per cent of stages refer to: write steps, examples or epochs"
    for index, stage in enumerate(config.stages):
        yield from _stage_durations(f"stages[{index}]", stage, whole)


def _stage_durations(path: str, stage: Stage, whole: str | None) -> Iterator[tuple[str, str]]:
    yield from _duration(f"{path}.duration", stage.duration, least=1)
    yield from _duration(f"{path}.warmup", stage.warmup, least=0)
    if "%" in stage.duration and whole is None:
        yield f"{path}.duration", "is per cent of nothing: set training.duration, or write steps, examples or epochs"


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


def _scoring(config: Config) -> Iterator[tuple[str, str]]:
    for index, name in enumerate(config.evaluation.controls):
        if name not in CONTROLS:
            hint = did_you_mean(name, CONTROLS)
            yield f"evaluation.controls[{index}]", f"must be one of {', '.join(CONTROLS)}{hint}"
    read_with = config.evaluation.blocks
    if any(blocks < 1 for blocks in read_with) or len(set(read_with)) < len(read_with):
        yield "evaluation.blocks", "lists numbers of blocks, each once and at least 1; no blocks at all is a control"
    if read_with and config.method.name not in WITH_BLOCKS:
        yield "evaluation.blocks", f"belongs to {listed(WITH_BLOCKS)}: {config.method.name} reads no blocks; leave []"
    if config.evaluation.decode == "graph" and (elsewhere := config.training.accelerator) in ("cpu", "mps"):
        yield (
            "evaluation.decode",
            f"needs a GPU of NVIDIA, not training.accelerator = {elsewhere}; use plain or compiled",
        )
    yield from _rules(config)
    yield from _probe_layer(config)


def _probe_layer(config: Config) -> Iterator[tuple[str, str]]:
    """A layer that the model has not, or in which blocks have no state."""
    path, layer, least = "evaluation.probe_layer", config.evaluation.probe_layer, config.memory.insertion_layer
    layers = config.backbone.scratch.layers
    if layer is None:
        return
    if layer < least:
        yield path, f"must be at least memory.insertion_layer = {least}, since blocks have no states below it"
    if config.backbone.source == "scratch" and layer >= layers:
        yield path, f"must be at most {layers - 1}: backbone.scratch.layers = {layers}, counted from 0"


def _rules(config: Config) -> Iterator[tuple[str, str]]:
    """Further answer rules that there are not, or that have nothing to read."""
    own = _answer_rules(config)
    for index, name in enumerate(config.evaluation.rules):
        path = f"evaluation.rules[{index}]"
        if name not in answers.RULES:
            yield path, _known_rules(name)
        elif name in config.evaluation.rules[:index]:
            yield path, "stands there before; once will do"
        elif own and not any(answers.reads(name, each) and name != each for each in own):
            others = [rule for rule in answers.RULES if any(answers.reads(rule, each) and rule != each for each in own)]
            marks = f"marked by {' and '.join(own)}"
            none = f"reads none of the right answers of data.test, which are {marks}"
            rule = f"adds nothing: the tests of data.test are {marks} already" if name in own else none
            yield path, f"{rule}; rules that could stand beside are {', '.join(others)}"


def _known_rules(name: str) -> str:
    return f"must be one of {', '.join(answers.RULES)}{did_you_mean(name, answers.RULES)}"


def _answer_rules(config: Config) -> list[str]:
    """The rules of the test sources, as far as they can be named; what cannot is refused with the sources."""
    from rim.data.example import parse_source

    found: list[str] = []
    for source in config.data.test:
        with suppress(UserError):
            found.append(parse_source(source, config.data)[0].answer_rule)
    return [rule for rule in dict.fromkeys(found) if rule in answers.RULES]


def _methods(config: Config) -> Iterator[tuple[str, str]]:
    """Settings that the chosen method would not read, or cannot use."""
    method = config.method
    for field in ("parallel_steps", "teacher", "removal_smoothing", "distillation"):
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
    yield from _last_stage(config)


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
    wanted = "answer" if config.method.name == "icot" else "latent"
    if last.objective != wanted:
        yield f"stages[{len(config.stages) - 1}].objective", f"method {config.method.name} ends in objective {wanted}"
    if last.replaced_steps is not None:
        yield (
            f"stages[{len(config.stages) - 1}].replaced_steps",
            "must be empty in the last stage: all steps are replaced",
        )
