"""What the hub calls a published test set: its data set, and the benchmark that a score is entered for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from rim.data.mixture import training_parts
from rim.data.registry import TASKS, task
from rim.deployment.scored import Scored

FILE = ".eval_results/rim.yaml"
"""Where the hub looks for scores; it shows them on the model's page and in the benchmark's table."""


@dataclass(frozen=True)
class Benchmark:
    """A data set with a table of scores on the hub, the task within it, and the number of its examples."""

    dataset: str
    task: str
    examples: int


BENCHMARKS = {
    "gsm8k/test": Benchmark("openai/gsm8k", "gsm8k", 1319),
    "gpqa/diamond": Benchmark("Idavidrein/gpqa", "gpqa_diamond", 198),
}
"""By source. Other data sets have no table of scores, and the hub refuses entries for them."""


def dataset_name(name: str) -> str:
    """The hub's name of a task's data set; the task's own where it is on no hub."""
    tables = task(name).tables if name in TASKS else ()
    return tables[0] if tables else name


def training_datasets(train: str) -> list[str]:
    """The hub's names of the data sets that `data.train` names; those that are on no hub are left out."""
    names = [part.source.partition("/")[0] for part in training_parts(train)]
    return sorted({table for name in names if name in TASKS for table in task(name).tables})


def write_results(folder: Path, sets: Sequence[Scored]) -> None:
    """Write the scores of whole benchmarks, in per cent, as the hub reads them; no file where there are none."""
    entries = [entry for each in sets if (entry := _entry(each)) is not None]
    if entries:
        (folder / FILE).parent.mkdir()
        (folder / FILE).write_text(yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False), "utf-8")


def _entry(scored: Scored) -> EvalResultEntry | None:
    benchmark, share = BENCHMARKS.get(scored.source), scored.share
    if benchmark is None or share.count != benchmark.examples:  # a part of a test set has another score
        return None
    value = round(100 * share.value, 2)
    notes = f"scored by RiM, zero-shot, answer rule {scored.rule}"
    return EvalResultEntry(dataset_id=benchmark.dataset, task_id=benchmark.task, value=value, notes=notes)
