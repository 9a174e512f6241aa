"""What TensorBoard shows of a run: its name, charts with several lines, and every update once, also when resumed."""

import re
from pathlib import Path

import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.custom_scalar.metadata import CONFIG_SUMMARY_TAG

from rim.training.event_files import put_before_now
from rim.training.events import RunLogger
from rim.training.run import prepare_run
from tests.runs import tiny


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def test_events_lie_in_the_run_folder_which_is_the_name_of_the_run(straight: Path) -> None:
    assert len(list(straight.glob("events.out.tfevents.*"))) == 2  # of training, and of the scores on the test sets
    assert not (straight / "tensorboard").exists() and not (straight / "hparams.yaml").exists()
    assert "_hparams_/experiment" in read(straight).summary_metadata


def test_each_stage_has_charts_with_a_line_per_block_number_of_steps_and_readout(straight: Path) -> None:
    events = read(straight)
    (event,) = events.Tensors(CONFIG_SUMMARY_TAG)
    layout = Layout.FromString(event.tensor_proto.string_val[0])
    found: dict[str, dict[str, list[str]]] = {}
    for category in layout.category:
        for chart in category.chart:
            (pattern,) = chart.multiline.tag
            tags = [tag for tag in events.Tags()["scalars"] if re.match(pattern, tag)]
            assert all(tag.split("/")[1] == category.title for tag in tags)
            found.setdefault(category.title, {})[chart.title] = [tag.rpartition("/")[2] for tag in sorted(tags)]
    numbers = ["1", "2", "3"]
    both = {"validation accuracy by number of steps": numbers, "training loss by readout": numbers}
    by_block = {"validation accuracy by block": numbers}  # grounding reads one answer only
    weights = "weights of the training loss"
    assert found == {
        "grounding": {**both, weights: ["step_1", "step_2", "step_3"]},
        "refinement": {**by_block, **both, weights: ["block_1", "block_2", "block_3"]},
    }


def test_weights_are_those_of_the_longest_chain_that_trains_and_not_of_one_that_might(tmp_path: Path) -> None:
    prepared = prepare_run(tiny(tmp_path, "data.max_steps=9"))
    (stage, _) = prepared.plan.stages
    assert len(prepared.method.weights_at(stage.progress(0), prepared.longest_chain)) == 3


def test_the_groups_of_the_stages_have_few_cards_and_come_first(straight: Path) -> None:
    """TensorBoard opens the first two groups in the order of the alphabet."""
    tags = read(straight).Tags()
    groups = sorted({tag.partition("/")[0] for tag in tags["scalars"]})
    assert groups[:2] == ["grounding", "refinement"]
    inside = [tag for kind in ("scalars", "images") for tag in tags[kind] if tag.startswith("grounding/")]
    assert sorted(inside) == [
        "grounding/mask", "grounding/training_loss", "grounding/tree", "grounding/validation_accuracy",
    ]  # fmt: skip
    assert not [tag for kind in ("scalars", "images", "tensors") for tag in tags[kind] if "heldout" in tag]


@pytest.mark.parametrize(("name", "begun"), [("", RunLogger), ("tensorboard", TensorBoardLogger)])
@pytest.mark.parametrize(("updates", "first"), [(3, [0, 1, 2, 3]), (0, [])])
def test_a_run_that_goes_on_shows_every_update_once_where_it_began(
    name: str, begun: type, updates: int, first: list[int], tmp_path: Path
) -> None:
    """Also a run of an older version, which has its events in `tensorboard/`."""
    before = begun(tmp_path) if begun is RunLogger else begun(tmp_path, name="", version=name)
    for step in range(6):
        before.log_metrics({"loss": 1.0}, step)
    before.finalize("failed")
    put_before_now(tmp_path)  # as a run does
    after = RunLogger(tmp_path, updates)
    for step in (4, 5, 6):
        after.log_metrics({"loss": 0.5}, step)
    after.finalize("success")
    shown = [(event.step, event.value) for event in read(tmp_path / name).Scalars("loss")]
    assert shown == [*((step, 1.0) for step in first), (4, 0.5), (5, 0.5), (6, 0.5)]
    assert {file.parent for file in tmp_path.rglob("events.out.tfevents.*")} == {tmp_path / name}
