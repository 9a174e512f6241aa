"""GSM8K with other numbers: versions of its questions whose equations are computed anew, exactly.

    Natalia sold clips to 48 of her friends in April, ...     ->     ... to 96 of her friends in April, ...
    <<48/2=24>> <<48+24=72>> #### 72                          ->     <<96/2=48>> <<96+48=144>> #### 144

GSM8K's training rows give `train`, those whose question falls into one of 16 buckets `validation`, and its test rows
`test`, which asks how much of a score on GSM8K depends on the numbers, beside GSM-Hard. Versions keep the kinds of
numbers: whole numbers and results stay whole, per cent stay within 100, nothing is negative, round numbers stay round,
and sizes stay within `data.gsm8k_renumbered.factor`. Rows whose numbers cannot be told apart, and rows that a
renumbering might make wrong, are left out and counted by reason (`rim/data/renumbering/template.py`).
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from hashlib import blake2b, sha256
from itertools import zip_longest

from rim.data.example import Example, Reading, Task, form_in
from rim.data.renumbering.template import Template, template
from rim.data.renumbering.versions import versions
from rim.data.tasks import gsm8k
from rim.settings import Data

NAME = "gsm8k_renumbered"
VERSION = 1
"""Changes with every change of the versions: it is part of their seed and of their fingerprint."""
FORMS = ("equations", "results")
BUCKETS = 16
FROM = {"train": "train", "validation": "train", "test": "test"}
"""The split of GSM8K whose rows a split renumbers."""


def read(split: str, config: Data) -> Reading:
    """The versions of a split: the first one of every row, then the second one of every row, and so on.

    What is read, kept and left out is counted in versions: a row that cannot be renumbered lacks all of them.

    Raises:
        DataError: GSM8K's rows are missing or broken.
    """
    found = gsm8k.TASK.read(FROM[split], replace(config, steps="equations"))
    made = [template(row) for row in found.examples if _home(row, split)]
    templates = [each for each in made if isinstance(each, Template)]
    asked = _asked(split, config)
    dropped = Counter(each for each in made if isinstance(each, str) for _ in range(asked))
    drawn = [_versions(each, split, config) for each in templates]
    examples = [_formed(each, config) for turn in zip_longest(*drawn) for each in turn if each is not None]
    dropped["no further version within the limits"] += asked * len(templates) - len(examples)
    return Reading(examples, asked * len(made), dict(+dropped), found.origin)


def fingerprint(split: str, config: Data) -> str:
    """sha256 of everything that the versions depend on."""
    options = {name: value for name, value in asdict(config.gsm8k_renumbered).items() if "versions" not in name}
    options["versions"] = _asked(split, config)
    rows = gsm8k.TASK.fingerprint(FROM[split], replace(config, steps="equations"))
    return sha256(json.dumps([NAME, VERSION, split, options, rows]).encode()).hexdigest()


def origin(split: str, config: Data) -> str:
    """Where the rows of GSM8K are found."""
    return gsm8k.TASK.origin(FROM[split], replace(config, steps="equations"))


def _home(row: Example, split: str) -> bool:
    """Whether a row of GSM8K belongs to a split; a hash of the question tells validation from train."""
    if split == "test":
        return True
    held_out = blake2b(row.question.encode(), digest_size=8).digest()[0] % BUCKETS == 0
    return held_out == (split == "validation")


def _asked(split: str, config: Data) -> int:
    """Versions of each row."""
    options = config.gsm8k_renumbered
    return options.versions if split == "train" else options.test_versions


def _versions(of: Template, split: str, config: Data) -> Iterator[Example]:
    options = config.gsm8k_renumbered
    for each in versions(of, _asked(split, config), options.factor, f"{NAME} {VERSION} {options.seed}"):
        row = each.id.rpartition("/")[2]
        yield replace(each, id=f"{NAME}/{split}/{row}")


def _formed(example: Example, config: Data) -> Example:
    if form_in(FORMS, config.steps) == "equations":
        return example
    return replace(example, steps=tuple(step[:-2].rpartition("=")[2] for step in example.steps))


TASK = Task(
    *(NAME, tuple(FROM), ("test",), "integer", read, fingerprint),
    forms=FORMS,
    tables=gsm8k.TASK.tables,
    origin=origin,
)
