"""Check the sources of data: all are known, no test split trains or selects, and steps have the form that is asked for.

A rule is a generator of (path, sentence).
"""

import re
from collections import Counter
from collections.abc import Iterator

from rim.base.errors import UserError, did_you_mean
from rim.data import answers
from rim.data.mixture import sources_in, training_parts, validation_parts
from rim.data.registry import TASKS, own_tasks, parse_source, task
from rim.settings import Config
from rim.settings.checks.scoring import known_rules
from rim.settings.data import Own


def generated(config: Config) -> Iterator[tuple[str, str]]:
    """Generated tasks without stories of some length."""
    if not 3 <= config.data.tracking.people <= 8:
        yield "data.tracking.people", "must be 3 to 8"
    if not 1 < config.data.gsm8k_renumbered.factor <= 100:
        yield "data.gsm8k_renumbered.factor", "must be more than 1, and at most 100"
    sources = {*sources_in(config.data.train), *sources_in(config.data.validation), *config.data.test}
    for name in ("tracking", "arithmetic"):
        task = getattr(config.data, name)
        if task.min_steps > task.max_steps:
            yield f"data.{name}.min_steps", f"must not be above data.{name}.max_steps = {task.max_steps}"
        if f"{name}/ood" in sources and task.ood_steps <= task.max_steps:
            yield f"data.{name}.ood_steps", f"must be above data.{name}.max_steps = {task.max_steps} for {name}/ood"


def usable(config: Config) -> Iterator[tuple[str, str]]:
    """Sources that there are not, or that may not be what they are to be."""
    if config.data.own.answer_rule not in answers.RULES:
        yield "data.own.answer_rule", known_rules(config.data.own.answer_rule)
        return
    try:
        own_tasks(config.data)
    except UserError as error:
        yield "data.modules" if config.data.modules else "data.own", str(error)
        return
    yield from _of_the_hub(config.data.own)
    yield from _revisions(config)
    yield from _training(config)
    yield from _validation(config)
    for index, source in enumerate(config.data.test):
        try:
            parse_source(source, config.data)
        except UserError as error:
            yield f"data.test[{index}]", str(error)
    for name, count in Counter(config.data.test).items():
        if count > 1:
            yield "data.test", f"'{name}' stands there {count} times; once will do"


def templates(config: Config) -> Iterator[tuple[str, str]]:
    """Forms of a question that the model or the blocks do not allow."""
    if config.data.system is not None and config.data.template != "chat":
        yield "data.system", "belongs to data.template=chat; leave it empty, or set that"
    if config.data.template != "chat":
        return
    if config.backbone.source == "scratch":
        yield "data.template", "needs the chat template of a pretrained model, and scratch has none; set plain"
    if config.method.name == "repeat":
        yield "data.template", "a chat has its question once, and method.name=repeat reads it again; set plain"
    if config.memory.placement != "after_question":
        yield (
            "data.template",
            f"needs memory.placement=after_question, not {config.memory.placement}: blocks stand where the model "
            "begins to write, not within its template",
        )


def _of_the_hub(own: Own) -> Iterator[tuple[str, str]]:
    """Settings of a table where rows come from files."""
    for name in ("table_config", "revision"):
        if own.table is None and getattr(own, name) != getattr(Own(), name):
            yield f"data.own.{name}", "belongs to a table of the hub: set data.own.table=OWNER/NAME, or leave this out"


def _revisions(config: Config) -> Iterator[tuple[str, str]]:
    """Tables that no task reads, so that another commit of them would be asked for in vain."""
    for index, entry in enumerate(config.data.revisions):
        path, name = f"data.revisions[{index}]", entry.partition("@")[0]
        tasks = [*map(task, TASKS), *own_tasks(config.data).values()]
        known = sorted({table for each in tasks for table in each.tables})
        if not re.fullmatch(r"[\w.-]+/[\w.-]+@[\w./-]+", entry):
            yield path, "is written owner/name@revision, such as openai/gsm8k@main"
        elif name not in known:
            yield path, f"no task reads this table; there are {', '.join(known)}{did_you_mean(name, known)}"
        elif name in (other.partition("@")[0] for other in config.data.revisions[:index]):
            yield path, f"names '{name}' again; once will do"


def _training(config: Config) -> Iterator[tuple[str, str]]:
    """What trains: sources that may, and steps in a form that they have; of a mixture one of them has it."""
    try:
        sources = [parse_source(part.source, config.data) for part in training_parts(config.data.train)]
    except UserError as error:
        yield "data.train", str(error)
        return
    closed = [source.closed for source in sources if source.closed]
    yield from (("data.train", sentence) for sentence in closed)
    forms = {source.task.name: source.task.forms for source in sources if source.form}
    if not closed and forms and not any(config.data.steps in each for each in forms.values()):
        has = "; ".join(f"{name} has steps of no such form; it has {', '.join(each)}" for name, each in forms.items())
        yield "data.steps", has


def _validation(config: Config) -> Iterator[tuple[str, str]]:
    try:
        sources = [parse_source(source, config.data) for source in validation_parts(config.data.validation)]
    except UserError as error:
        yield "data.validation", str(error)
        return
    yield from (("data.validation", source.closed) for source in sources if source.closed)
