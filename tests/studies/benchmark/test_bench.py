"""`python -m rim.bench` from a file to its tables, on a tiny model."""

import json
from pathlib import Path

import pytest

from rim import bench

TEXT = """
name: tiny
overrides:
  - data.train=arithmetic/train
  - data.validation=arithmetic/validation
  - data.test=[arithmetic/test]
  - data.arithmetic.train_rows=200
  - data.arithmetic.test_rows=20
  - backbone.source=scratch
  - backbone.training=full
  - backbone.scratch.layers=2
  - backbone.scratch.width=32
  - backbone.scratch.vocabulary=400
  - data.cache={folder}/cache
folder: {folder}
vocabulary: 500
questions: 2
batch_sizes: [1, 2]
rounds: 2
decode: [plain, static]
bandwidth: 10
entries:
  - {{name: direct, overrides: [method.name=direct]}}
  - {{name: rim, overrides: [method.name=memory_blocks, memory.insertion_layer=1]}}
  - {{name: codi, overrides: [method.name=codi]}}
  - {{name: cot, overrides: [method.name=cot]}}
bars:
  - {{name: never missed, entry: cot, over: rim, time: full, at_least: 0}}
  - {{name: never met, entry: cot, over: bound, time: token, at_most: 0}}
"""


def test_a_benchmark_from_its_settings_to_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny.yaml").write_text(TEXT.format(folder=tmp_path))
    assert bench.main(["--config", str(tmp_path / "tiny.yaml"), "rounds=3"]) == 0
    printed, table = capsys.readouterr().out, (tmp_path / "tiny" / "table.md").read_text()
    assert "Latency: decode static, batch 2" in printed and f"wrote {tmp_path}/tiny/latency.png" in printed
    assert "Medians over 3 rounds" in table and "10 GB/s (stated)" in table
    assert [line.split("|")[-2].strip() for line in table.splitlines() if line.startswith("| never")] == [
        "yes", "yes", "NO", "NO",
    ]  # fmt: skip
    record = json.loads((tmp_path / "tiny" / "results.json").read_text())
    assert len(record["rows"]) == 4 * 2 * 2 and record["versions"]["torch"]
    assert {len(case["rounds"]) for case in record["seconds"]} == {3}
    assert record["work"]["rim"]["tokens"] == record["work"]["direct"]["tokens"] < record["work"]["cot"]["tokens"]
    assert (tmp_path / "tiny" / "latency.png").stat().st_size > 5_000
    assert len((tmp_path / "tiny" / "table.csv").read_text().splitlines()) == 1 + 4 * 2 * 2


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ([], "error: nothing to measure: name a file of entries, --config conf/bench/laptop.yaml"),
        (["--config", "no.yaml"], "error: no.yaml: no such file"),
    ],
)
def test_what_cannot_be_measured_is_refused(argv: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench.main(argv)
    assert stopped.value.code == 2 and capsys.readouterr().err.startswith(text)
