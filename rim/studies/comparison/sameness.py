"""What must be equal before runs stand side by side: their data, and the examples that they answered."""

from collections.abc import Mapping, Sequence
from typing import Any

from rim.base.errors import UserError
from rim.evaluation.controls import VERSION
from rim.settings import Config
from rim.settings.load import differences

FREE = (
    *("data.cache:", "data.workers:", "data.root:"),
    *("data.train:", "data.steps:", "data.train_rows:", "data.tracking.train_rows:", "data.arithmetic.train_rows:"),
    "data.gsm8k_renumbered.versions:",
)
"""Settings of data that say where and how it is read, or what trains: what is answered must be the same. The examples
themselves are compared later."""
OF_TRAINING = (
    *("data.validation:", "data.validation_rows:", "data.own.train:", "data.own.validation:"),
    *("data.max_steps:", "data.over_steps:"),
    *("data.max_question_tokens:", "data.max_step_tokens:", "data.max_answer_tokens:"),
)
"""Settings of data that belong to what trains and to what chooses the checkpoint, and to no test set: they may differ
as well where transfer is asked for."""

TRANSFER = ". To see what one task teaches for another: transfer: true in the file, --transfer for finished runs"


class ComparisonError(UserError):
    """Runs that cannot stand side by side."""


def data_differences(a: Config, b: Config, transfer: bool = False) -> list[str]:
    """Settings of data that may not differ and do, one line each: `data.test: ["x"] -> ["y"]`."""
    free = FREE + OF_TRAINING if transfer else FREE
    return [line for line in differences(a, b) if line.startswith("data.") and not line.startswith(free)]


def check_same_data(configs: Mapping[str, Config], transfer: bool = False) -> None:
    """Refuse settings that choose a checkpoint on or are tested on different data.

    Args:
        configs: name of a run or an entry → its settings.
        transfer: whether checkpoints may be chosen on different data: what is tested is the same all the same.

    Raises:
        ComparisonError: names both, and every setting that differs.
    """
    first, *others = configs
    for name in others:
        both = configs[first], configs[name]
        changed = data_differences(*both, transfer)
        if changed:
            raise ComparisonError(
                f"'{first}' and '{name}' are not on the same data: {'; '.join(changed)}. A comparison answers one "
                f"question on one set of examples: give both the same data settings, or compare them apart"
                + ("" if data_differences(*both, transfer=True) else TRANSFER)
            )


def common_decode(ways: Mapping[str, str]) -> tuple[str, list[str]]:
    """The way of decoding in which latencies may stand side by side: that of all runs, else plain; and what to say.

    Answers do not depend on it, so runs that differ in it are compared all the same.

    Args:
        ways: name of an entry → its `evaluation.decode`.
    """
    if len({*ways.values()}) == 1:
        return next(iter(ways.values())), []
    told = ", ".join(f"{entry} {way}" for entry, way in ways.items())
    return "plain", [f"Runs decode in different ways ({told}), so all latencies are of plain decoding."]


def check_same_rule(source: str, rules: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Refuse answers that were marked by different rules, or by different versions of one.

    Args:
        rules: name of a run → `name` and `version` of its answer rule; None: scored before rules had versions.

    Raises:
        ComparisonError: names both runs and both rules.
    """
    first, *others = rules
    for name in others:
        if rules[name] != rules[first]:
            raise ComparisonError(
                f"{source}: '{first}' was marked by {_told(rules[first])}, '{name}' by {_told(rules[name])}, and the "
                "same answer may be right by one and wrong by the other. Score the older run again: rim.evaluate "
                f"--run DIR --test {source}"
            )


def _told(rule: Mapping[str, Any] | None) -> str:
    return "a rule without a version" if rule is None else f"rule {rule['name']}, version {rule['version']}"


def older_controls(versions: Mapping[str, int]) -> list[str]:
    """What to say of runs whose blocks were edited otherwise than today; nothing where there are none.

    Args:
        versions: folder of a run with edited blocks → version of the edit.
    """
    older = [name for name, version in versions.items() if version != VERSION]
    text = (
        f"Swapped blocks and noise of {', '.join(older)} were measured by another edit of states than today's: they do "
        "not compare with others. Score these runs again: rim.evaluate --run DIR"
    )
    return [text] if older else []


def check_same_examples(source: str, examples: Mapping[str, Sequence[tuple[str, str, str]]]) -> None:
    """Refuse predictions on different examples.

    They are compared as they were written: the hash of a result is of encoded rows, which another tokenizer or form of
    steps changes.

    Args:
        examples: name of a run → (id, true answer, question) of every example, in order.

    Raises:
        ComparisonError: names both runs, and the first example that only one of them has.
    """
    reference, *others = examples
    for name in others:
        first, other = examples[reference], examples[name]
        if list(first) == list(other):
            continue
        lone = sorted({*first} ^ {*other})
        what = f"'{lone[0][0]}' (answer '{lone[0][1]}') is not the same in both" if lone else "their order differs"
        raise ComparisonError(
            f"{source}: '{reference}' answered {len(first)} examples, '{name}' {len(other)}, and {what}. Differences "
            "are paired, example by example: score both runs on the same test set (rim.evaluate --run DIR --test "
            f"{source}), or compare them apart"
        )
