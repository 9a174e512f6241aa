"""`docs/data.md` says of every task what its reader does, and its tasks of one's own work as they stand."""

import json
import re
from importlib import import_module
from pathlib import Path

import pytest

from rim.data.example import Example
from rim.data.published import Source
from rim.data.registry import TASKS, task
from rim.settings.load import load
from tests.data.reading import read

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
ROWS = [re.split(r"\s*\|\s*", line.strip("| \n")) for line in DOCS.splitlines() if line.startswith("| `")]
PUBLISHED = sorted(set(TASKS) - {"arithmetic", "tracking", "gsm8k_renumbered"})


def rows(name: str) -> list[list[str]]:
    """What the two tables say of a task."""
    return [row for row in ROWS if row[0] == f"`{name}`"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_table_of_tasks_is_that_of_the_readers(name: str) -> None:
    found = task(name)
    what, where = rows(name)
    assert all(split in what[1] for split in found.splits)
    assert what[2] == (", ".join(found.forms) or "none") and what[3] == f"`{found.answer_rule}`"
    sources: dict[str, Source] = import_module(f"rim.data.tasks.{name}").SOURCES
    for source in sources.values():
        assert source.files[0].split("/")[0] + "/" in where[1]
        assert source.tables or where[2].startswith("no")
        for table in source.tables:
            assert f"`{table.name}`" in where[2]
            assert table.revision.startswith(where[3].strip("`")) and where[3]


def test_the_tasks_of_ones_own_work(in_folder: Path) -> None:
    section = DOCS.split("\n## Your own task")[1].split("\n## ")[0]
    settings, *others = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    [module] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (in_folder / "own.yaml").write_text(settings)
    for name, other in enumerate(others):
        (in_folder / f"{name}.yaml").write_text(other)
    assert [load([f"{name}.yaml"]).data.own.train for name in (0, 1)] == ["my/train.parquet", "train[:95%]"]
    (in_folder / "my").mkdir()
    (in_folder / "my" / "riddles.py").write_text(module)
    (in_folder / "my" / "train.jsonl").write_text(json.dumps({"question": "q?", "steps": ["s"], "answer": "2"}))
    assert read("own/train", load(["own.yaml"]).data).examples == [Example("own/train/0", "q?", ("s",), "2")]
    (in_folder / "riddles").mkdir()
    (in_folder / "riddles" / "test.jsonl").write_text(json.dumps({"riddle": "r?", "solution": "s"}))
    config = load([], ["data.modules=[my/riddles.py]", "data.test=[riddles/test]", "data.root=."]).data
    assert read("riddles/test", config).examples == [Example("riddles/test/0", "r?", (), "s")]
