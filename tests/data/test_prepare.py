"""The rules that keep training, held-out and test rows apart, and the counts of what is left out."""

from dataclasses import replace
from pathlib import Path

import pytest

from rim.backbone.tokenizer import build_tokenizer
from rim.data.encode import EncodedSplit
from rim.data.errors import DataError
from rim.data.prepare import prepare, require_steps, training_texts
from rim.data.task_split import TaskSplit
from rim.settings import Data, Tracking
from tests.data.reading import read

TOKENIZER = build_tokenizer(["Ann has the key, Bob the cup. Who has the cup?", "<<48/2=24>> #### 72"], 300)
DUPLICATE = "question also in validation or test"


@pytest.fixture
def config(tmp_path: Path, data_root: Path) -> Data:
    sources = Data(train="gsm8k/train", validation="gsm8k_aug/validation", test=["gsm8k/test", "gsm_hard/test"])
    return replace(sources, root=str(data_root), cache=str(tmp_path / "cache"))


@pytest.fixture
def small(tmp_path: Path) -> Data:
    return Data(cache=str(tmp_path / "cache"), tracking=Tracking(train_rows=60, test_rows=40), validation_rows=None)


def ids(split: EncodedSplit) -> list[str]:
    return [split[row].id for row in range(len(split))]


def test_the_published_rows_fall_apart_as_published(config: Data) -> None:
    splits = prepare(replace(config, max_question_tokens=2000, max_step_tokens=2000), TOKENIZER, seed=0)
    assert (len(splits.train), splits.train.report.read) == (6973, 7473)
    assert splits.train.report.dropped == {DUPLICATE: 500}
    assert (len(splits.validation), splits.validation.report.read) == (264, 500)
    assert {source: len(split) for source, split in splits.tests.items()} == {"gsm8k/test": 1319, "gsm_hard/test": 660}
    assert (splits.train.answer_rule, splits.tests["gsm_hard/test"].answer_rule) == ("integer", "number")
    validation = {" ".join(splits.validation[row].text.split()) for row in range(264)}
    assert not validation & {" ".join(splits.train[row].text.split()) for row in range(len(splits.train))}
    assert str(splits.validation.report) == (
        "gsm8k_aug/validation: 264 of 500 rows, 236 left out: beyond data.validation_rows=264"
    )


def test_validation_rows_are_drawn_by_seed_and_others_are_the_first(small: Data) -> None:
    small = replace(small, train_rows=7, validation_rows=9, test_rows=5)
    one, same, other = (prepare(small, TOKENIZER, seed) for seed in (0, 0, 1))
    assert ids(one.train) == [f"tracking/train/{row}" for row in range(7)] == ids(other.train)
    assert ids(one.tests["tracking/test"]) == [f"tracking/test/{row}" for row in range(5)]
    assert ids(one.validation) == ids(same.validation) != ids(other.validation)
    assert len(set(ids(one.validation))) == 9
    assert one.train.report.dropped == {"beyond data.train_rows=7": 53}
    assert one.tests["tracking/test"].report.dropped == {"beyond data.test_rows=5": 35}


def test_long_chains_are_dropped_or_capped_in_training_alone(small: Data) -> None:
    every = prepare(small, TOKENIZER, 0)
    dropped = prepare(replace(small, max_steps=3), TOKENIZER, 0)
    assert dropped.train.report.dropped == {"more than data.max_steps=3 steps": 15}
    assert len(dropped.train) == 45 and len(dropped.validation) == 30
    assert max(dropped.train.steps_counts) == 3
    assert dropped.tests["tracking/test"].steps_counts.tolist() == every.tests["tracking/test"].steps_counts.tolist()
    capped = prepare(replace(small, max_steps=3, over_steps="cap"), TOKENIZER, 0)
    assert (len(capped.train), capped.train.report.capped, max(capped.train.steps_counts)) == (60, 15, 3)
    assert "15 capped" in str(capped.train.report)
    assert capped.train[3].answer.tolist() == every.train[3].answer.tolist()
    assert [s.tolist() for s in capped.train[3].steps] == [s.tolist() for s in every.train[3].steps[:3]]


@pytest.mark.parametrize("part", ["question", "step", "answer"])
def test_rows_over_a_token_limit_are_counted_and_never_cut(part: str, small: Data) -> None:
    every = prepare(small, TOKENIZER, 0)

    def length(row: int) -> int:
        example = every.train[row]
        step = max(map(len, example.steps))
        return {"question": len(example.question), "step": step, "answer": len(example.answer)}[part]

    lengths = [length(row) for row in range(60)]
    limit = sorted(lengths)[30] if part == "question" else min(lengths)
    over = sum(one > limit for one in lengths)
    limited = prepare(replace(small, **{f"max_{part}_tokens": limit}), TOKENIZER, 0)
    assert 0 < over < 60
    assert limited.train.report.dropped == {f"{part} over data.max_{part}_tokens={limit}": over}
    assert ids(limited.train) == [f"tracking/train/{row}" for row in range(60) if lengths[row] <= limit]
    assert len(limited.tests["tracking/test"]) == 40


def test_rows_read_are_rows_kept_and_rows_dropped(config: Data) -> None:
    limited = replace(config, max_steps=4, max_question_tokens=250, train_rows=3000)
    splits = prepare(limited, TOKENIZER, 0)
    for split in (splits.train, splits.validation):
        report = split.report
        assert report.read == report.kept + sum(report.dropped.values()) and len(report.dropped) >= 3
        assert report.kept == len(split) == report.distinct


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            {"validation": "gsm8k/test"},
            ["data.validation: gsm8k/test is a test split, which neither trains nor chooses", "gsm8k/train"],
        ),
        ({"validation": "tracking/ood"}, ["data.validation: tracking/ood", "tracking/train, tracking/validation"]),
        ({"train": "gsm8k/test"}, ["data.train: gsm8k/test is a test split", "use one of gsm8k/train"]),
        ({"train": "gsm_hard/test"}, ["data.train: gsm_hard/test", "use another task"]),
        ({"test": ["gsm8k/tests"]}, ["unknown split 'tests'", "gsm8k/test"]),
    ],
)
def test_sources_are_refused_before_any_data_is_read(
    change: dict[str, object], parts: list[str], config: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TaskSplit, "read", None)
    with pytest.raises(DataError) as caught:
        prepare(replace(config, **change), TOKENIZER, 0)  # type: ignore[arg-type]
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_nothing_left_stops_with_the_counts(small: Data, config: Data) -> None:
    with pytest.raises(DataError) as caught:
        prepare(replace(small, max_question_tokens=3), TOKENIZER, 0)
    message = "no row of tracking/train is left of 60 read: 60 question over data.max_question_tokens=3"
    assert message in str(caught.value)
    with pytest.raises(DataError, match=f"no row of gsm8k_aug/validation is left of 500 read: 500 {DUPLICATE}"):
        prepare(replace(config, train="gsm8k_aug/validation"), TOKENIZER, 0)


def test_training_texts_hold_nothing_of_validation_rows(config: Data, small: Data) -> None:
    first, second = read("tracking/train", small).examples[:2]
    texts = [
        *(first.question + "\n", *first.steps, f"#### {first.answer}"),
        *(second.question + "\n", *second.steps, f"#### {second.answer}"),
    ]
    assert list(training_texts(small, 2)) == texts
    questions = [text for text in training_texts(config) if text.endswith("\n")]
    assert len(questions) == 6973


def test_rows_without_a_single_step_are_refused_where_steps_are_taught(
    config: Data, small: Data, tmp_path: Path
) -> None:
    """Of a mixture one source has to have some."""
    bare = replace(config, train="logiqa/validation", validation="gsm8k_aug/validation", max_question_tokens=5000)
    train = prepare(bare, TOKENIZER, 0).train
    with pytest.raises(DataError) as caught:
        require_steps(train, "stages[0].objective=grounding")
    assert str(caught.value).startswith(
        "no row of logiqa/validation has a step (651 rows), and stages[0].objective=grounding teaches steps: with none"
    )
    assert "those of data.own stand under 'steps', a list of texts), or set method.name=direct" in str(caught.value)
    require_steps(train, None)
    require_steps(prepare(small, TOKENIZER, 0).train, "stages[0].objective=grounding")
    mixed = replace(bare, train="logiqa/validation + gsm8k/train", train_rows=20)
    require_steps(prepare(mixed, TOKENIZER, 0).train, "stages[0].objective=grounding")
