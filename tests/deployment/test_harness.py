"""Tasks of lm_eval mark answers as the run's rule does, but for what their head says.

The reference is a slow copy of what lm_eval 0.4 does with a task: filters (`lm_eval/filters/extraction.py`: a regular
expression gives its first or last match, or `[invalid]`) and `exact_match` (`lm_eval/api/metrics.py`).
"""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rim.data.answers import RULES, grade
from rim.data.example import after_mark
from rim.deployment.harness import DIFFERENCES, _task
from rim.deployment.scored import Scored
from rim.report.proportion import Proportion


def task(rule: str, chain: bool) -> dict[str, Any]:
    method = SimpleNamespace(writes_chain=lambda: chain)
    model: Any = SimpleNamespace(evaluator=SimpleNamespace(method=method, max_new_tokens=lambda: 9))
    return _task(Scored("own/test", Path("own-test.jsonl"), rule, "best", Proportion(1, 2)), model)


def marked(task: dict[str, Any], text: str, gold: str) -> bool:
    for each in task["filter_list"][0]["filter"]:
        if each["function"] == "regex":
            found = re.findall(each["regex_pattern"], text)
            text = found[each["group_select"]].strip() if found else "[invalid]"
        elif each["function"] == "remove_whitespace":
            text = text.lstrip()
    (metric,) = task["metric_list"]
    assert metric["metric"] == "exact_match" and not metric.get("ignore_punctuation")
    for pattern in metric["regexes_to_ignore"] or ():
        text, gold = re.sub(pattern, "", text), re.sub(pattern, "", gold)
    return text.lower() == gold.lower() if metric["ignore_case"] else text == gold


@pytest.mark.parametrize(
    ("rule", "text", "gold"),
    [
        ("integer", "1,080", "1080"),
        ("integer", "$72", "72"),
        ("integer", "-3", "3"),
        ("number", "0.5", "0.5"),
        ("last_number", "3 and 4 make 7", "7"),
        ("last_number", "7 of 9", "7"),
        ("choice", "B", "B"),
        ("choice", "(C) 12", "C"),
        ("yes_no", "No.", "no"),
        ("yes_no", "yes", "no"),
        ("latex", "(1,2)", "12"),
        ("latex", r"\frac{1}{2}", r"\frac{1}{2}"),
        ("sentence", "Max is a Yumpus.", "Max is a yumpus."),
        ("sentence", "Max is a yumpus", "Max is a yumpus."),
        ("sentence", "Max is a yumpus. ", "Max is a yumpus."),
        ("text", "bob. ", "Bob"),
        ("text", "3.5", "35"),
        ("text", "a, b", "a b"),
        ("letters", "y-a-j o", "yajo"),
    ],
)
def test_an_answer_is_right_under_both_or_neither(rule: str, text: str, gold: str) -> None:
    assert marked(task(rule, chain=False), text, gold) == grade(rule, text, gold)


@pytest.mark.parametrize("rule", ["integer", "last_number", "text"])
@pytest.mark.parametrize("text", ["1 + 2 = 3\n#### 3", "1 #### 2\n2 + 1 = 3\n#### 3", "1 + 2 = 3", "#### 4"])
def test_of_a_chain_what_follows_its_last_mark_counts(rule: str, text: str) -> None:
    read = text if RULES[rule].whole else after_mark(text)
    assert marked(task(rule, chain=True), text, "3") == grade(rule, read, "3")


def test_every_rule_says_where_scores_may_differ() -> None:
    assert set(DIFFERENCES) == set(RULES)
