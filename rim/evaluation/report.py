"""Scores as tables that read well in a terminal and are Markdown, and as plain types for JSON."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rim.evaluation.controls import EDITED
from rim.evaluation.metrics import Score
from rim.evaluation.protocol import SelectionResult
from rim.report.proportion import Proportion
from rim.report.tables import decimal, percent, steps_label, table, wide_table, with_bounds

STEP_COLUMNS = 7
"""Numbers of steps side by side; more go into a further table, so that lines stay within 100 columns."""


def accuracy_report(
    name: str,
    score: Score,
    controls: Mapping[str, Score],
    confidence: float,
    read_with: Mapping[int, Score] = MappingProxyType({}),
    rule: str | None = None,
    by_rule: Mapping[str, Score] = MappingProxyType({}),
) -> str:
    """Everything that is known about one evaluation, as Markdown of at most 100 columns.

    Args:
        score: with the blocks as they are.
        controls: name of what was done to the blocks → score.
        confidence: of every interval, between 0 and 1.
        read_with: number of blocks, other than the trained one → score.
        rule: name of the task's own answer rule.
        by_rule: name of another rule → score of the same answers.
    """
    if not score.examples:
        return f"## {name}\n\nNo examples were scored."
    parts = [_headline(name, score, confidence)]
    if len(score.correct_K) > 1:
        parts.append(_blocks(score, confidence))
    if len(score.by_steps) > 1:  # examples of one kind alone would repeat the headline
        parts.append(_by_steps(score))
    if len(score.by_size) > 1:
        parts.append(_by_size(score, confidence))
    if controls:
        parts.append(_controls(score, controls, confidence))
    if read_with:
        parts.append(_read_with(score, read_with, confidence))
    if by_rule:
        parts.append(_by_rule(score, rule or "the task's own", by_rule, confidence))
    return "\n\n".join(parts)


def selection_report(result: SelectionResult) -> str:
    """The selection protocol in one sentence and a table of what was chosen how often."""
    chosen = Counter(name for name, _ in result.per_split)
    sentence = (
        f"Selection protocol: {decimal(result.mean)} ± {decimal(result.standard_error)} (mean ± standard error of "
        f"{len(result.per_split)} random splits;\n{result.rows:,} examples choose the checkpoint, the other "
        f"{result.examples - result.rows:,} score it)."
    )
    return sentence + "\n\n" + table(chosen.most_common(), ("checkpoint", "chosen in splits"))


def to_json(score: Score) -> dict[str, Any]:
    """The score in plain types; keys are texts and every share stands beside its count."""
    return {
        "examples": score.examples,
        "final": plain(score.final),
        "any_block_oracle": plain(score.any),
        "by_block": [plain(block) for block in score.blocks],
        "by_steps": {str(steps): plain(share) for steps, share in score.by_steps.items()},
        "by_steps_and_block": {
            str(steps): [plain(block) for block in blocks] for steps, blocks in score.by_steps_K.items()
        },
        "by_size": {size: plain(share) for size, share in score.by_size.items()},
    }


def _headline(name: str, score: Score, confidence: float) -> str:
    accuracy, interval = with_bounds(score.final, confidence)
    title, what = f"## {name}: {score.examples:,} distinct examples", _final_name(score).capitalize()
    return f"{title}\n\n{what}: accuracy **{accuracy}**, {percent(confidence)} interval {interval} (Wilson)."


def _blocks(score: Score, confidence: float) -> str:
    rows = [
        (label, *with_bounds(block, confidence), f"{block.correct:,}")
        for label, block in zip(_labels(score), score.blocks, strict=True)
    ]
    rows.append(("any block (oracle)", *with_bounds(score.any, confidence), f"{score.any.correct:,}"))
    right = f"right of {score.examples:,}"
    note = "The oracle takes an example as right when any block is: an upper bound, not a score."
    return table(rows, ("answer read after", "accuracy", f"{percent(confidence)} interval", right)) + f"\n\n{note}"


def _by_steps(score: Score) -> str:
    """Blocks down, numbers of steps across."""
    steps = list(score.by_steps_K)
    rows = [
        (label, *(decimal(score.by_steps_K[count][block].value) for count in steps))
        for block, label in enumerate(_labels(score))
    ]
    rows.append(("examples", *(f"{score.by_steps[count].count:,}" for count in steps)))
    header = ("answer read after", *map(steps_label, steps))
    return "### Accuracy by number of reasoning steps\n\n" + wide_table(rows, header, STEP_COLUMNS)


def _by_size(score: Score, confidence: float) -> str:
    rows = [(size, *with_bounds(share, confidence), f"{share.count:,}") for size, share in score.by_size.items()]
    header = ("size of the true answer", "accuracy", f"{percent(confidence)} interval", "examples")
    return f"### Accuracy by size of the answer ({_final_name(score)})\n\n" + table(rows, header)


def _controls(score: Score, controls: Mapping[str, Score], confidence: float) -> str:
    """The drop is what the blocks carry: near zero, they are idle."""
    rows = [("as trained", "nothing", *with_bounds(score.final, confidence), "", f"{score.examples:,}")]
    for name, control in controls.items():
        drop = decimal(score.final.value - control.final.value)
        rows.append((name, EDITED[name], *with_bounds(control.final, confidence), drop, f"{control.examples:,}"))
    header = ("memory blocks", "edited", "accuracy", f"{percent(confidence)} interval", "drop", "examples")
    title = f"### Controls: the same weights, the blocks changed ({_final_name(score)})\n\n"
    return title + table(rows, header)


def _read_with(score: Score, read_with: Mapping[int, Score], confidence: float) -> str:
    """Answers after the last of another number of blocks than was configured."""
    others = {str(blocks): other for blocks, other in read_with.items()}
    title = "### The same weights, read with other numbers of blocks\n\n"
    return title + _differences("blocks read", "as trained", score, others, confidence)


def _by_rule(score: Score, rule: str, by_rule: Mapping[str, Score], confidence: float) -> str:
    title = f"### The same answers, marked by other rules ({_final_name(score)})\n\n"
    return title + _differences("rule", f"{rule} (the score)", score, by_rule, confidence)


def _differences(what: str, first: str, score: Score, others: Mapping[str, Score], confidence: float) -> str:
    rows = [(first, *with_bounds(score.final, confidence), "")]
    for name, other in others.items():
        gain = f"{other.final.value - score.final.value:+.3f}"
        rows.append((name, *with_bounds(other.final, confidence), gain))
    return table(rows, (what, "accuracy", f"{percent(confidence)} interval", "difference"))


def _labels(score: Score) -> list[str]:
    count = len(score.correct_K)
    if count == 1:
        return ["the end"]
    return [f"block {k}" for k in range(1, count)] + [f"block {count} (final)"]


def _final_name(score: Score) -> str:
    count = len(score.correct_K)
    return f"final answer, after block {count}" if count > 1 else "final answer"


def plain(share: Proportion) -> dict[str, Any]:
    """A share in plain types, beside its counts; null of nothing."""
    return {"correct": share.correct, "count": share.count, "accuracy": share.value if share.count else None}
