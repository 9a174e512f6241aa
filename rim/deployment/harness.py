"""Tasks for lm_eval: the test sets that the run was scored on, with filters that come nearest to its answer rule."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from rim.data.answers import RULES
from rim.data.example import MARK
from rim.deployment.model import Model
from rim.deployment.scored import Scored

NUMBER = r"(-?\$?\d[\d,]*(?:\.\d+)?)"
PATTERNS = {
    "integer": NUMBER,
    "number": NUMBER,
    "last_number": NUMBER,
    "choice": r"\b([A-J])\b",
    "yes_no": r"(?i)\b(yes|no|true|false)\b",
}
"""What a rule reads, as a regular expression; other rules compare the whole answer."""
IGNORED = {
    **{rule: [",", r"\$"] for rule in ("integer", "number", "last_number")},
    **{rule: [r"\s+$"] for rule in ("latex", "sentence")},
    "text": [r"\s*\.?\s*$"],
    "letters": [r"[\s\"'`.,\u201c\u201d\u2018\u2019*+-]"],
}
"""What plays no part in a comparison, as regular expressions."""
CASE_COUNTS = ("sentence", "latex")
ALONE = "the run's rule takes a number that stands alone, and here the first one anywhere counts"
SPACES = "spaces within an answer are free under the run's rule, and not here"
DIFFERENCES = {
    "integer": f"{ALONE}; 72.0 equals 72 there and not here",
    "number": f"{ALONE}; numbers that differ by rounding are equal there and not here",
    "last_number": "3/4 is one number and 72.0 equals 72 under the run's rule, and not here",
    "choice": "the run's rule takes a letter that stands alone, and here the first single capital letter counts",
    "yes_no": "true means yes under the run's rule, and words that follow may contradict; here the first word counts",
    "latex": "expressions are compared as mathematics under the run's rule, and as text here",
    "letters": "the run's rule passes over words such as 'answer:', and here they count",
    "sentence": SPACES,
    "text": SPACES,
}


def write_tasks(folder: Path, model: Model, sets: Sequence[Scored]) -> None:
    """A YAML file and the rows of each scored test set."""
    for each in sets:
        folder.mkdir(exist_ok=True)
        rows = [json.dumps({"question": row.question, "answer": row.gold}) for row in each.rows]
        (folder / each.file.name).write_text("\n".join(rows) + "\n", encoding="utf-8")
        text = _head(each) + yaml.safe_dump(_task(each, model), sort_keys=False)
        (folder / f"{each.file.stem}.yaml").write_text(text, encoding="utf-8")


def task_name(each: Scored) -> str:
    """What lm_eval calls a test set."""
    return "rim_" + each.source.replace("/", "_")


def _head(each: Scored) -> str:
    """The command, and where this score may differ from the run's."""
    return (
        f"# Run in the folder of the model, since paths are taken from there:\n"
        f"# lm_eval --model hf --model_args pretrained=.,dtype=float32 --include_path lm_eval \\\n"
        f"#   --tasks {task_name(each)} --apply_chat_template\n"
        f"# The run's answer rule is {each.rule}. Scores may differ: {DIFFERENCES[each.rule]}.\n"
    )


def _task(each: Scored, model: Model) -> dict[str, Any]:
    return {
        "task": task_name(each),
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": f"lm_eval/{each.file.name}"}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": model.evaluator.max_new_tokens()},
        "filter_list": [{"name": "answer", "filter": _filters(each.rule, model)}],
        "metric_list": [
            {
                "metric": "exact_match",
                "aggregation": "mean",
                "higher_is_better": True,
                "ignore_case": each.rule not in CASE_COUNTS,
                "regexes_to_ignore": IGNORED.get(each.rule),
            }
        ],
    }


def _filters(rule: str, model: Model) -> list[dict[str, Any]]:
    """From a generated text to the answer in it, after the last mark of a chain."""
    chain = rf"(?s).*{MARK}\s*(.*)$"
    filters: list[dict[str, Any]] = []
    if model.evaluator.method.writes_chain() and not RULES[rule].whole:
        filters.append({"function": "regex", "regex_pattern": chain, "group_select": 0})
    if rule in PATTERNS:
        last = -1 if rule == "last_number" else 0
        filters.append({"function": "regex", "regex_pattern": PATTERNS[rule], "group_select": last})
    return [*filters, {"function": "remove_whitespace"}, {"function": "take_first"}]
