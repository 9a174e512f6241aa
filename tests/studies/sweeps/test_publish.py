"""Everything that a sweep leaves, read back: files, records, figures, events as TensorBoard's plugin sees them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from rim.studies.sweeps.hparams import write_sweep
from rim.studies.sweeps.outcome import VALIDATION, Axis, SweepResult
from rim.studies.sweeps.publish import publish
from rim.studies.sweeps.summary import summarise
from tests.studies.sweeps.fakes import BLOCKS, LAYER, grid, other_blocks, point, study_of, sweep, variants


def small(**more: object) -> SweepResult:
    """Two points and a baseline."""
    axis = replace(BLOCKS, values=(1, 2))
    points = [point(0, {BLOCKS.name: 1}, 0.5, 0.6), point(1, {BLOCKS.name: 2}, 0.25)]
    return sweep([axis], points, **more)


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0, "images": 0})
    found.Reload()
    return found


def session(folder: Path, tag: str) -> HParamsPluginData:
    content = events(folder).summary_metadata[f"_hparams_/{tag}"].plugin_data.content
    return HParamsPluginData.FromString(content)


def sessions(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "tensorboard").iterdir() if path.is_dir())


def test_all_files_are_written_and_named(tmp_path: Path) -> None:
    text = publish(grid(), tmp_path, study_of(grid()))
    names = ["table.md", "table.csv", "results.json", "heat_map.png", "slices.png", "importances.png", "tensorboard"]
    assert [line for line in text.split("\n") if line.startswith("wrote")] == [f"wrote {tmp_path / n}" for n in names]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert text.startswith("Best of 12 by validation: **blocks=8, insertion_layer=0**") and "optimistic" in text
    assert (tmp_path / "slices.png").read_bytes()[1:4] == b"PNG"
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["best"] == "blocks=8, insertion_layer=0"
    assert set(record["importances"]) == {BLOCKS.name, LAYER.name}


def test_a_figure_that_no_longer_applies_goes_and_the_reason_is_said(tmp_path: Path) -> None:
    for name in ("heat_map", "importances", "mine"):
        (tmp_path / f"{name}.png").write_bytes(b"old")
    text = publish(small(), tmp_path, study_of(small()))
    assert text.endswith("no importances.png: there is one axis")
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["mine.png", "slices.png"]
    assert publish(small(), tmp_path, None).endswith("no importances.png: the study is not at hand")


def test_a_sweep_without_any_score_is_a_table_of_states(tmp_path: Path) -> None:
    nothing = sweep([BLOCKS], [point(0, {BLOCKS.name: 1}, state="failed")], baselines={}, facts={})
    text = publish(nothing, tmp_path)
    assert "failed" in text and "1 trials by grid: 1 failed." in text and "Best of" not in text
    assert not list(tmp_path.glob("*.png")) and sessions(tmp_path) == []
    assert publish(sweep([BLOCKS], [], baselines={}), tmp_path / "none").count("none begun") == 1


def test_each_finished_point_is_a_session_of_the_hparams_plugin(tmp_path: Path) -> None:
    result = replace(small(), points=(*small().points, point(2, {BLOCKS.name: 2}, state="pruned")))
    publish(result, tmp_path)
    first, second, direct = sessions(tmp_path)
    assert [path.name for path in (first, second, direct)] == ["000_blocks=1", "001_blocks=2", "baseline_direct"]
    settings = session(second, "session_start_info").session_start_info.hparams
    assert {name: value.number_value for name, value in settings.items()} == {BLOCKS.name: 2}
    settings = session(direct, "session_start_info").session_start_info.hparams
    assert {name: value.string_value for name, value in settings.items()} == {"baseline": "direct"}
    scores = {tag: events(first).Scalars(tag)[0].value for tag in events(first).Tags()["scalars"]}
    expected = {f"accuracy/{source}": score.value for source, score in summarise(result).points[0].scores.items()}
    assert scores == pytest.approx(expected)


def test_every_session_names_all_columns_since_the_plugin_reads_those_of_one(tmp_path: Path) -> None:
    publish(variants(), tmp_path)
    for folder in sessions(tmp_path):
        experiment = session(folder, "experiment").experiment
        assert {info.name for info in experiment.hparam_infos} == {"curriculum", "baseline"}
        assert [info.name.tag for info in experiment.metric_infos] == [
            "accuracy/validation", "accuracy/tracking/test", "accuracy/tracking/ood",
        ]  # fmt: skip
        assert session(folder, "session_end_info").HasField("session_end_info")


def test_an_axis_with_a_value_that_is_no_number_is_text_throughout(tmp_path: Path) -> None:
    axis = Axis("stages.1.dropout", (None, 0.1))
    result = sweep([axis], [point(n, {axis.name: value}, 0.5) for n, value in enumerate(axis.values)], baselines={})
    publish(result, tmp_path)
    values = [session(path, "session_start_info").session_start_info.hparams[axis.name] for path in sessions(tmp_path)]
    assert [value.string_value for value in values] == ["null", "0.1"]


def test_tables_are_text_and_figures_images(tmp_path: Path) -> None:
    publish(other_blocks(), tmp_path)
    found = events(tmp_path / "tensorboard")
    assert sorted(found.Tags()["images"]) == ["sweep/read_blocks", "sweep/slices"]
    assert sorted(found.Tags()["tensors"]) == [
        "sweep/points/text_summary",
        "sweep/tracking/ood: read with other numbers of blocks/text_summary",
        "sweep/tracking/test: read with other numbers of blocks/text_summary",
    ]
    text = found.Tensors("sweep/points/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "blocks=8" in text and "optimistic" in text


def test_a_second_report_takes_the_place_of_the_first(tmp_path: Path) -> None:
    publish(small(), tmp_path)
    stranger = tmp_path / "tensorboard" / "001_blocks=2" / "notes.txt"
    stranger.write_text("mine")
    better = replace(small(), points=(small().points[0],))
    publish(better, tmp_path)
    assert [path.name for path in sessions(tmp_path)] == ["000_blocks=1", "001_blocks=2", "baseline_direct"]
    assert [path.name for path in stranger.parent.iterdir()] == ["notes.txt"], "only events go"
    assert len(list(tmp_path.glob("tensorboard/events.out.tfevents.*"))) == 1
    record = json.loads((tmp_path / "results.json").read_text())
    assert [each["label"] for each in record["points"]] == ["blocks=1"]


def test_points_of_a_range_that_are_written_alike_stay_apart(tmp_path: Path) -> None:
    axis = Axis("stages.*.learning_rate", low=1e-4, high=1e-2, log=True)
    rates = [1e-3, float(np.nextafter(1e-3, 1))]
    result = sweep([axis], [point(n, {axis.name: rate}, 0.5) for n, rate in enumerate(rates)], sampler="random")
    write_sweep(tmp_path, summarise(result), {}, {})
    assert len(sessions(tmp_path)) == 3
    assert VALIDATION in summarise(result).points[0].scores
