"""W&B and MLflow themselves, without a network: what a run logs is its curve, under one id when it is resumed.

`make test-trackers` installs both beside the environment, in `.cache/trackers`; `make test` has stand-ins for them.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rim.runs.folder import RunFolder
from rim.training.module import RimModule
from rim.training.run import fit
from tests.runs import curve, tiny
from tests.training.test_changed_settings import struck_after
from tests.training.test_contract import Struck
from tests.training.test_nodes import SHORT

pytestmark = [pytest.mark.trackers, pytest.mark.filterwarnings("ignore")]
LOSS = "grounding/training_loss"
BLOCK, HEADER, ENDS = 32_768, struct.Struct("<IHB"), (1, 4)
"""Records of a `.wandb` file are those of LevelDB's log: checksum, length, and whether one ends here; in blocks."""


def interrupted(folder: Path, tracker: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[int, float]]:
    """A run that is struck after update 4 and resumed after update 3: its id there, and its grounding losses."""
    config = tiny(folder, *SHORT, "run.name=x", f"training.loggers=[{tracker}]", "training.save_every=3 steps")
    with monkeypatch.context() as patch:
        patch.setattr(RimModule, "training_step", struck_after(4))
        with pytest.raises(Struck):
            fit(config)
    ids = RunFolder(folder / "x").read("trackers.json")
    assert fit(config) == 0 and RunFolder(folder / "x").read("trackers.json") == ids
    losses = [each for each in curve(folder / "x") if each["stage"] == "grounding" and "loss" in each]
    return ids[tracker], {each["update"]: each["loss"] for each in losses}


def test_mlflow_on_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run, losses = interrupted(tmp_path, "mlflow", monkeypatch)
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    assert client.get_run(run).data.params["stages.0.learning_rate"] == "0.01"
    found = [(point.step, point.value) for point in client.get_metric_history(run, LOSS)]
    assert dict(found) == pytest.approx(losses) and sorted(step for step, _ in found) == [1, 2, 3, 4, 4, 5]


def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    run, losses = interrupted(tmp_path, "wandb", monkeypatch)
    files = sorted(tmp_path.glob(f"x/wandb/offline-run-*/run-{run}.wandb"))
    found = [(int(row["trainer/global_step"]), row[LOSS]) for file in files for row in history(file) if LOSS in row]
    assert dict(found) == pytest.approx(losses) and sorted(step for step, _ in found) == [1, 2, 3, 4, 4, 5]


def history(file: Path) -> Iterator[dict[str, Any]]:
    """What was logged to W&B, as `wandb sync` would send it."""
    from wandb.proto import wandb_internal_pb2 as messages

    for content in records(file.read_bytes()):
        record = messages.Record.FromString(content)
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            yield {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def records(content: bytes) -> Iterator[bytes]:
    """The records of a `.wandb` file; one that is longer than its block stands in several parts."""
    place, record = 7, b""
    while place + HEADER.size <= len(content):
        if (left := BLOCK - place % BLOCK) < HEADER.size:
            place += left
            continue
        _, size, kind = HEADER.unpack_from(content, place)
        place += HEADER.size + size
        record += content[place - size : place]
        if kind in ENDS:
            yield record
            record = b""
