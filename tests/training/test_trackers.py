"""What the loggers are given: CSV for real; W&B and MLflow as modules that note what Lightning's loggers ask of them.

Both packages bring dozens of others, and W&B starts a server: too heavy for every test run.
"""

import csv
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.loggers import mlflow as lightning_mlflow
from lightning.pytorch.loggers import wandb as lightning_wandb

from rim.base.errors import SettingsError
from rim.runs.folder import RunFolder
from rim.training.module import RimModule
from rim.training.run import fit
from rim.training.trackers import LoggerError, TableLogger, open_loggers, require_loggers
from tests.runs import curve, tiny
from tests.training.test_changed_settings import struck_after
from tests.training.test_contract import Struck
from tests.training.test_nodes import SHORT


def test_csv_has_every_update_once_when_the_run_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Struck after update 5, one more than it has saved: the fifth is repeated."""
    config = tiny(tmp_path, *SHORT, "run.name=x", "training.loggers=[csv]", "training.save_every=4 steps")
    with monkeypatch.context() as patch:
        patch.setattr(RimModule, "training_step", struck_after(5))
        with pytest.raises(Struck):
            fit(config)
    assert fit(config) == 0
    with open(tmp_path / "x" / "csv" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for kind, key in (("training_loss", "loss"), ("validation_accuracy", "accuracy")):
        found = [(int(row["step"]), float(value)) for row in rows for name in row
                 if name.endswith(f"/{kind}") and (value := row[name])]  # fmt: skip
        assert found == [(each["update"], each[key]) for each in curve(tmp_path / "x") if key in each]
    assert float(rows[-1]["test_accuracy/tracking/test"]) >= 0 and rows[-1]["step"] == "9"
    assert not list((tmp_path / "x").glob("events.out.tfevents.*"))
    assert "tensorboard" not in (tmp_path / "x" / "report.md").read_text()


@pytest.mark.parametrize("cut", ["1,5,0.5\r\n", "1,5,0.5\r\n2,", "1,5,0.5\r\n2,6,0.", "1,5,0.5\r\n2,6,0.5"])
def test_a_row_that_a_full_disk_cut_is_repeated(cut: str, tmp_path: Path) -> None:
    """Cut before its step, or within a number, which would be another."""
    file = tmp_path / "csv" / "metrics.csv"
    file.parent.mkdir()
    file.write_text("a,step,z\r\n" + cut, newline="")
    table = TableLogger(tmp_path, 6)
    table.log_metrics({"a": 2, "z": 0.5}, 6)
    assert file.read_text().splitlines() == ["a,step,z", "1,5,0.5", "2,6,0.5"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the stand-ins of both packages were asked for, in order."""
    calls: list[tuple[Any, ...]] = []
    put_wandb(monkeypatch, calls)
    put_mlflow(monkeypatch, calls)
    return calls


def put_module(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    module = ModuleType(name)
    module.__dict__.update(content)
    module.__spec__ = ModuleSpec(name, None)
    monkeypatch.setitem(sys.modules, name, module)


def put_wandb(monkeypatch: pytest.MonkeyPatch, calls: list[tuple[Any, ...]]) -> None:
    class Run:
        id = "w1"

        def __init__(self) -> None:
            self.config = SimpleNamespace(update=lambda given, **_: calls.append(("wandb settings", given)))

        def log(self, given: dict[str, float]) -> None:
            calls.append(("wandb", given))

        def finish(self) -> None:
            calls.append(("wandb finish",))

        def define_metric(self, *_: Any, **__: Any) -> None:
            pass

    def init(**given: Any) -> Run:
        calls.append(("wandb init", given["name"], given["project"], given["id"]))
        return Run()

    put_module(monkeypatch, "wandb", init=init, run=None)
    put_module(monkeypatch, "wandb.wandb_run", Run=Run)
    put_module(monkeypatch, "wandb.sdk.lib", RunDisabled=type("RunDisabled", (), {}))
    monkeypatch.setattr(lightning_wandb, "_WANDB_AVAILABLE", True)


def put_mlflow(monkeypatch: pytest.MonkeyPatch, calls: list[tuple[Any, ...]]) -> None:
    class MlflowClient:
        def __init__(self, address: str) -> None:
            calls.append(("mlflow", address))

        def get_experiment_by_name(self, name: str) -> Any:
            return SimpleNamespace(lifecycle_stage="active", experiment_id=f"of {name}")

        def create_run(self, experiment_id: str, tags: dict[str, str]) -> Any:
            calls.append(("mlflow run", experiment_id, tags))
            return SimpleNamespace(info=SimpleNamespace(run_id="m1"))

        def get_run(self, run_id: str) -> Any:
            return SimpleNamespace(info=SimpleNamespace(experiment_id="known"))

        def log_batch(self, run_id: str, params: Any = (), metrics: Any = ()) -> None:
            calls.append((f"mlflow {run_id}", {p.key: p.value for p in params}, [vars(m) for m in metrics]))

    put_module(monkeypatch, "mlflow", set_tracking_uri=lambda _: None)
    put_module(monkeypatch, "mlflow.tracking", MlflowClient=MlflowClient, context=SimpleNamespace(resolve_tags=None))
    put_module(monkeypatch, "mlflow.tracking.context", resolve_tags=lambda tags: tags)
    put_module(monkeypatch, "mlflow.entities", Param=SimpleNamespace, Metric=SimpleNamespace)
    put_module(monkeypatch, "mlflow.utils.mlflow_tags", MLFLOW_RUN_NAME="name")
    monkeypatch.setattr(lightning_mlflow, "_MLFLOW_AVAILABLE", True)


def test_services_get_settings_once_and_scalars_under_one_id(
    asked: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_PROJECT", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    config = tiny(tmp_path, "run.name=a/x", "training.loggers=[wandb, mlflow]")
    require_loggers(config.training.loggers)
    folder = RunFolder(tmp_path / "a" / "x")
    for updates in (0, 4):
        with open_loggers(config, folder, updates) as loggers:
            for logger in loggers:
                logger.log_metrics({"loss": 0.5}, updates + 1)
    assert folder.read("trackers.json") == {"wandb": "w1", "mlflow": "m1"}
    settings = [given for name, *(given, *_) in (call for call in asked if len(call) > 1) if name == "wandb settings"]
    assert len(settings) == 1 and settings[0]["stages.0.learning_rate"] == 1e-2
    assert [call[1:] for call in asked if call[0] == "wandb init"] == [("a/x", "rim", None), ("a/x", "rim", "w1")]
    scalars = [call[1] for call in asked if call[0] == "wandb"]
    assert scalars == [{"loss": 0.5, "trainer/global_step": step} for step in (1, 5)]
    assert len([call for call in asked if call[0] == "wandb finish"]) == 2
    assert [call[1] for call in asked if call[0] == "mlflow"] == [f"sqlite:///{tmp_path}/mlflow.db"] * 2
    assert [call[1:] for call in asked if call[0] == "mlflow run"] == [("of rim", {"name": "a/x"})]
    batches = [call[1:] for call in asked if call[0] == "mlflow m1"]
    assert {key: value for params, _ in batches for key, value in params.items()}["training.batch_size"] == "8"
    points = [(each["key"], each["value"], each["step"]) for _, metrics in batches for each in metrics]
    assert points == [("loss", 0.5, 1), ("loss", 0.5, 5)]


def test_before_the_first_update_a_run_of_a_service_begins_anew(asked: list[tuple[Any, ...]], tmp_path: Path) -> None:
    """Its settings may have changed, and those of a run of MLflow may not."""
    config, folder = tiny(tmp_path, "run.name=x", "training.loggers=[wandb]"), RunFolder(tmp_path / "x")
    for _ in range(2):
        with open_loggers(config, folder, 0):
            pass
    assert [call[3] for call in asked if call[0] == "wandb init"] == [None, None]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_refused_at_the_start(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rim.training.trackers.find_spec", lambda _: None)
    others = {"wandb": "mlflow", "mlflow": "wandb"}[name]
    with pytest.raises(LoggerError) as error:
        fit(tiny(tmp_path, f"training.loggers=[csv, {name}]"))
    assert str(error.value) == (
        f"training.loggers names {name}, whose package is not installed: pip install 'rim[{name}]', or leave it out; "
        f"others are tensorboard, csv, {others}"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("[wandbb]", 'training.loggers[0] = "wandbb": must be one of tensorboard, csv, wandb, mlflow; did you mean'),
        ("[csv, csv]", 'training.loggers[1] = "csv": stands there before; once will do'),
    ],
)
def test_unknown_loggers_are_refused(value: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        tiny(tmp_path, f"training.loggers={value}")
    assert text in str(error.value)
