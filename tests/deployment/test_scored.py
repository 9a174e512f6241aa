"""An export has the scores of its own checkpoint, read with its own number of blocks, whatever was evaluated since."""

import json
from pathlib import Path

import pytest

from rim.deployment.scored import scored
from rim.runs.folder import RunFolder


@pytest.mark.parametrize(
    ("facts", "own"),
    [
        ({"name": "best"}, True),  # as a run that ends writes it
        ({"name": "best", "blocks": 8}, True),
        ({"name": "best", "blocks": 4}, False),  # rim.evaluate memory.blocks=4
        ({"name": "last", "blocks": 8}, False),  # rim.evaluate --checkpoint last
    ],
)
def test_another_evaluation_is_not_the_score_of_an_export(facts: dict[str, object], own: bool, tmp_path: Path) -> None:
    record = {"source": "svamp/test", "examples": 10, "final": {"correct": 6, "count": 10}, **facts}
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "svamp-test.json").write_text(json.dumps(record))
    (tmp_path / "results" / "svamp-test.jsonl").touch()
    (found,) = scored(RunFolder(tmp_path))
    assert found.is_of("best", 8) == own and (found.share.correct, found.rows) == (6, [])
