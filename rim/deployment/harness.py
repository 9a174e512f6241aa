"""Tasks for lm_eval: the test sets that the run was scored on, with filters that come nearest to its answer rule."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

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
DIFFERENCES = {
    "integer": "72.0 equals 72 under the run's rule and not here",
    "number": "numbers that differ by rounding are equal under the run's rule and not here",
    "latex": "expressions are compared as mathematics under the run's rule, and as text here",
    "yes_no": "true and false mean yes and no under the run's rule, and not here",
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
    difference = DIFFERENCES.get(each.rule)
    return (
        f"# Run in the folder of the model, since paths are taken from there:\n"
        f"# lm_eval --model hf --model_args pretrained=.,dtype=float32 --include_path lm_eval \\\n"
        f"#   --tasks {task_name(each)} --apply_chat_template\n"
        f"# The run's answer rule is {each.rule}.{f' Scores may differ: {difference}.' if difference else ''}\n"
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
                "ignore_case": True,
                "ignore_punctuation": each.rule not in PATTERNS,
                "regexes_to_ignore": [",", r"\$"],
            }
        ],
    }


def _filters(rule: str, model: Model) -> list[dict[str, Any]]:
    """From a generated text to the answer in it."""
    chain = rf"(?s){MARK}\s*(.*)$"
    filters: list[dict[str, Any]] = []
    if model.evaluator.method.writes_chain():
        filters.append({"function": "regex", "regex_pattern": chain, "group_select": -1})
    if rule in PATTERNS:
        last = -1 if rule == "last_number" else 0
        filters.append({"function": "regex", "regex_pattern": PATTERNS[rule], "group_select": last})
    return [*filters, {"function": "remove_whitespace"}, {"function": "take_first"}]
