"""Mixtures: the text, the shares, the order, what is left out of each source, and each source's own rule."""

import json
import pickle
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rim.backbone.tokenizer import build_tokenizer
from rim.base.errors import SettingsError
from rim.base.tree import Kind, Node, Tree
from rim.data.errors import DataError
from rim.data.joined import JoinedSplit
from rim.data.mixture import cycle, training_parts
from rim.data.order import TOGETHER, stream_mixture
from rim.data.prepare import Splits, prepare, training_texts
from rim.data.sources import parse_sources
from rim.data.store import EncodedSplit
from rim.evaluation.evaluator import Evaluator
from rim.evaluation.lengths import Lengths
from rim.settings import Arithmetic, Config, Data, Own, Tracking
from rim.settings.load import load
from rim.training.datamodule import DataModule
from rim.training.plan import Plan, StagePlan
from tests.data.reading import read
from tests.models import at

TOKENIZER = build_tokenizer(["Ann has the key, Bob the cup. Who has the cup?", "<<48/2=24>> #### 72"], 300)
CYCLES = [(7, 3), (1, 1, 1), (60, 40), (1, 5000), (2, 3000, 1999)]
ROWS = (60, 41, 25)
MODULE = '''"""Riddles, with steps in sentences alone."""

from rim.data.published import Published, Source


def parse(row):
    return row.example(row.values["riddle"], (f"{row.form}.",), row.values["solution"])


TASK = Published("riddles", {"train": Source(("riddles.jsonl",))}, (), "text", parse, ("sentences",)).task()
'''


@pytest.fixture
def small(tmp_path: Path) -> Data:
    return Data(
        train="tracking/train + arithmetic/train",
        validation="tracking/validation + arithmetic/validation",
        test=["tracking/test", "arithmetic/test"],
        cache=str(tmp_path / "cache"),
        tracking=Tracking(train_rows=60, test_rows=40),
        arithmetic=Arithmetic(train_rows=40, test_rows=12),
        validation_rows=16,
    )


def joined(split: object) -> JoinedSplit:
    assert isinstance(split, JoinedSplit)
    return split


def ids(split: Any) -> list[str]:
    return [split[row].id for row in range(len(split))]


# ---------------------------------------------------------------- the text


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("tracking/train:0.7+arithmetic/train:0.3", (7, 3)),
        ("tracking/train : 2 + arithmetic/train : 1.0", (2, 1)),
        ("tracking/train:0.125 + arithmetic/train:3 + gsm8k/train:1", (1, 24, 8)),
    ],
)
def test_weights_are_exact_proportions(text: str, counts: tuple[int, ...]) -> None:
    assert cycle([part.weight for part in training_parts(text) if part.weight]) == counts


def test_without_weights_rows_are_the_proportions(small: Data) -> None:
    assert joined(prepare(small, TOKENIZER, 0).train).cycle == (3, 2)
    weighted = replace(small, train="tracking/train:1 + arithmetic/train:4")
    assert joined(prepare(weighted, TOKENIZER, 0).train).cycle == (1, 4)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("tracking/train + gsm8/train", "unknown task 'gsm8' (did you mean 'gsm8k'?)"),
        ("tracking/train:1 + gsm8k/dev:2", "unknown split 'dev' of task 'gsm8k': there are gsm8k/train, gsm8k/test"),
        (
            "tracking/train + gsm8k/test",
            "gsm8k/test is a test split, which neither trains nor chooses a checkpoint; use one of gsm8k/train",
        ),
        (
            "tracking/train:0.7 + arithmetic/train:0",
            "'arithmetic/train:0': '0' is no weight: it is a number above 0, such as arithmetic/train:0.5; a source "
            "that gives no examples is left out",
        ),
        ("tracking/train:1 + arithmetic/train:-0.5", "'-0.5' is no weight: it is a number above 0"),
        ("tracking/train:1 + arithmetic/train:half", "'half' is no weight"),
        ("tracking/train:0.5 + tracking/train:0.5", "'tracking/train' stands there 2 times; once will do"),
        (
            "tracking/train:0.5 + arithmetic/train",
            "'arithmetic/train' has no weight, and others have: give every source one, or none of them",
        ),
        ("tracking/train:0.5", "a weight is a share of a mixture, and 'tracking/train' stands alone: write tracking/"),
        ("tracking/train + ", "'tracking/train + ' names no source beside a +: write task/split + task/split"),
        (
            "tracking/train:0.1234567 + arithmetic/train:0.9",
            "these weights come out in whole numbers of examples only every 10,234,567 of them, and 1,000,000 are the "
            "most: round them",
        ),
    ],
)
def test_a_mixture_that_cannot_be_is_a_lesson(train: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load([], [f"data.train={train}"])
    text = str(caught.value)
    assert text.startswith(f"override 'data.train={train}': data.train = {json.dumps(train)}: ") and message in text
    assert text.count("\n") == 0, "one cause, one line"
    with pytest.raises(DataError):
        parse_sources(Data(train=train))


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (
            "tracking/validation:2 + arithmetic/validation:1",
            "'tracking/validation:2' has a weight: validation sets have none, every row counts alike, and "
            "data.validation_rows holds for each source; write tracking/validation",
        ),
        ("tracking/validation + tracking/test", "tracking/test is a test split, which neither trains nor chooses"),
        ("tracking/validation + tracking/validation", "'tracking/validation' stands there 2 times; once will do"),
        ("+ tracking/validation", "names no source beside a +"),
    ],
)
def test_validation_sources_that_cannot_be_are_a_lesson(validation: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load([], [f"data.validation={validation}"])
    assert "data.validation = " in str(caught.value) and message in str(caught.value)
    with pytest.raises(DataError):
        parse_sources(Data(validation=validation))


def test_a_mixture_has_the_form_of_steps_that_one_of_its_sources_has() -> None:
    mixture = "data.train=gsm8k_aug/train:0.7 + prosqa/train:0.3"
    validation = ["data.validation=gsm8k_aug/validation + prosqa/validation", "data.test=[prosqa/test]"]
    for form in ("equations", "sentences"):
        assert load([], [mixture, *validation, f"data.steps={form}"]).data.steps == form
    with pytest.raises(SettingsError) as caught:
        load([], [mixture, *validation, "data.steps=facts"])
    assert (
        'data.steps = "facts": gsm8k_aug has steps of no such form; it has equations, sentences, results; prosqa has '
        "steps of no such form; it has sentences"
    ) in str(caught.value)


def test_a_split_that_a_mixture_cannot_have_is_seen_in_generated_tasks() -> None:
    with pytest.raises(SettingsError, match=r"must be above data.tracking.max_steps = 4 for tracking/ood"):
        load(
            [], ["data.test=[tracking/ood]", "data.tracking.ood_steps=4", "data.train=arithmetic/train+tracking/train"]
        )


# ---------------------------------------------------------------- the order


def source_of(row: int) -> int:
    return int(np.searchsorted(np.cumsum(ROWS), row, side="right"))


@pytest.mark.parametrize("counts", CYCLES)
def test_every_cycle_of_a_long_stretch_has_the_exact_shares(counts: tuple[int, ...]) -> None:
    cycles = max(3, 30_000 // sum(counts))
    rows = stream_mixture(ROWS[: len(counts)], counts, 0, cycles * sum(counts), (5, 1))
    parts = np.searchsorted(np.cumsum(ROWS[: len(counts)]), rows, side="right").reshape(cycles, sum(counts))
    for part, count in enumerate(counts):
        assert ((parts == part).sum(1) == count).all()
    assert not (parts == parts[0]).all(), "and no fixed order within them"


@pytest.mark.parametrize("counts", CYCLES)
def test_a_stretch_of_the_order_does_not_depend_on_where_it_is_cut(counts: tuple[int, ...]) -> None:
    """So it is the same after a resumption, for any segment: also across borders of cycles, epochs and sheets."""
    whole = stream_mixture(ROWS[: len(counts)], counts, 0, 3 * TOGETHER, (5, 1))
    cuts = sorted({0, 1, 17, sum(counts), TOGETHER - 1, TOGETHER, TOGETHER + 1, 9_999, 3 * TOGETHER})
    cuts = [cut for cut in cuts if cut <= 3 * TOGETHER]
    parts = [stream_mixture(ROWS[: len(counts)], counts, a, b, (5, 1)) for a, b in pairwise(cuts)]
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert stream_mixture(ROWS[: len(counts)], counts, 50, 50, (5, 1)).tolist() == []
    assert stream_mixture(ROWS[: len(counts)], counts, 0, 99, (5, 2)).tolist() != whole[:99].tolist()


def test_every_source_gives_all_of_its_rows_before_it_repeats_one() -> None:
    rows = stream_mixture(ROWS, (2, 3, 1), 0, 6 * 400, (0, 0))
    for part, count in enumerate(ROWS):
        own = [row for row in rows.tolist() if source_of(row) == part]
        epochs = [own[at : at + count] for at in range(0, len(own) - count, count)]
        first = sum(ROWS[:part])
        assert all(sorted(epoch) == [*range(first, first + count)] for epoch in epochs) and len(epochs) > 5
        assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


def test_without_weights_every_epoch_has_every_row_once() -> None:
    rows = stream_mixture(ROWS, ROWS, 0, 4 * sum(ROWS), (3, 0)).reshape(4, sum(ROWS))
    assert (np.sort(rows, axis=1) == np.arange(sum(ROWS))).all()
    assert not (rows[0] == rows[1]).all()


def test_one_source_has_the_order_that_it_had(small: Data) -> None:
    split = prepare(replace(small, train="tracking/train", validation="tracking/validation"), TOKENIZER, 0).train
    assert isinstance(split, EncodedSplit)
    epochs = [np.random.default_rng((7, 1, epoch)).permutation(60) for epoch in range(3)]
    assert split.stream(50, 140, (7, 1)).tolist() == np.concatenate(epochs)[50:140].tolist()


def module(splits: Splits, small: Data, workers: int = 0) -> DataModule:
    config = Config(data=replace(small, workers=workers))
    config.training.batch_size = 10
    plan = Plan((StagePlan(0, at("grounding").stage, 0, 12, 0, validate_every=12, save_every=12, epoch=10.0),))
    layout: Any = lambda example, moment: Tree((Node(Kind.QUESTION, example.question),))  # noqa: E731
    return DataModule(splits, config, layout, plan, lambda: 0, 0)


def test_processes_and_resumption_change_no_update_of_a_mixture(small: Data) -> None:
    data = module(prepare(small, TOKENIZER, 0), small)
    alone = list(data.places(0, range(12), 0, 1))
    two = [place for rank in (0, 1) for place in data.places(0, range(12), rank, 2)]
    for place in alone:
        assert sorted(row for part in two if part.update == place.update for row in part.rows) == sorted(place.rows)
    later = list(data.places(0, range(7, 12), 0, 1))
    assert later == [place for place in alone if place.update >= 7]
    counts = [sum(row < 60 for place in alone if place.update == update for row in place.rows) for update in range(12)]
    assert counts == [6] * 12, "10 examples an update are two cycles of 3 + 2"


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker:UserWarning")  # torch's, on one core
def test_loader_processes_give_a_mixture_in_the_same_order(small: Data) -> None:
    splits = prepare(small, TOKENIZER, 0)
    alone, two = (
        [batch.passes[0].ids for batch in module(splits, small, workers).train_dataloader()] for workers in (0, 2)
    )
    assert alone == two and len(alone) == 12


# ---------------------------------------------------------------- the rows


def test_the_sources_of_a_mixture_follow_each_other(small: Data) -> None:
    splits = prepare(replace(small, train_rows=30, test_rows=5), TOKENIZER, 0)
    train, validation = joined(splits.train), joined(splits.validation)
    assert ids(train) == [f"{task}/train/{row}" for task in ("tracking", "arithmetic") for row in range(30)]
    assert len(validation) == 16 + 12 and {
        validation.source_of[name].partition("/")[0] for name in ids(validation)[:16]
    } == {"tracking"}
    assert [len(train[row].question) for row in range(60)] == train.question_lengths.tolist()
    assert [len(train[row].steps) for row in range(60)] == train.steps_counts.tolist()
    assert train.longest.answer == max(len(train[row].answer) for row in range(60))
    assert train[-1].id == "arithmetic/train/29"
    with pytest.raises(IndexError):
        train[60]
    again = pickle.loads(pickle.dumps(train))
    assert ids(again) == ids(train) and again.cycle == train.cycle and len(pickle.dumps(train)) < 2000
    first, second = train.report.parts
    assert (train.report.read, train.report.kept, first.share, second.share) == (100, 60, 0.5, 0.5)
    assert first.report.dropped == {"beyond data.train_rows=30": 30}
    assert str(train.report).splitlines() == [
        "tracking/train + arithmetic/train: 60 of 100 rows",
        "50 % of examples from tracking/train: 30 of 60 rows",
        *("  steps as equations", "  30 left out: beyond data.train_rows=30"),
        "50 % of examples from arithmetic/train: 30 of 40 rows",
        *("  steps as equations", "  10 left out: beyond data.train_rows=30"),
    ]


def test_limits_hold_for_every_source_and_the_longest_of_any_counts(small: Data) -> None:
    splits = prepare(replace(small, max_steps=3), TOKENIZER, 0)
    reports = [part.report for part in joined(splits.train).parts]
    assert [report.dropped for report in reports] == [
        {"more than data.max_steps=3 steps": 15},
        {"more than data.max_steps=3 steps": 10},
    ]
    assert joined(splits.train).cycle == (3, 2), "shares are those of the rows that are kept"


def put(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_validation_questions_are_left_out_of_every_source_and_steps_have_the_form_that_there_is(
    tmp_path: Path,
) -> None:
    """`own` has the wanted form, the riddles only their own; a question of any validation set trains nowhere."""
    (tmp_path / "riddles.py").write_text(MODULE)
    questions = [f"q{row} ?" for row in range(8)]
    put(tmp_path / "riddles.jsonl", *({"riddle": text, "solution": "egg"} for text in questions))
    rows = [{"question": text, "steps": ["<<1+1=2>>"], "answer": "2"} for text in questions]
    own = Own(
        put(tmp_path / "a.jsonl", *rows[:6]), put(tmp_path / "b.jsonl", rows[1]),
        put(tmp_path / "c.jsonl", {"question": "q3  ?", "answer": "2"}), answer_rule="integer",
    )  # fmt: skip
    config = Data(
        train="own/train:1 + riddles/train:2", validation="own/validation", test=["own/test"], own=own, steps="results",
        modules=[str(tmp_path / "riddles.py")], root=str(tmp_path), cache=str(tmp_path / "cache"),
    )  # fmt: skip
    train = joined(prepare(config, TOKENIZER, 0).train)
    assert [len(part) for part in train.parts] == [4, 6] and train.cycle == (1, 2)
    assert all(part.report.dropped == {"question also in validation or test": 2} for part in train.parts)
    assert {train[row].text for row in range(10)} == {*questions} - {"q1 ?", "q3 ?"}
    assert [part.steps for part in train.report.parts] == ["results", "sentences"]
    assert [TOKENIZER.decode(train[row].steps[0]) for row in (0, 9)] == ["2", "sentences."]
    assert [train.rule_of(row) for row in (0, 3, 4, 9)] == ["integer", "integer", "text", "text"]


def test_a_tokenizer_is_built_from_every_source_by_its_share(small: Data) -> None:
    for weights, counts in ((("", ""), (6, 4)), ((":1", ":4"), (2, 8))):
        train = " + ".join(f"{task}/train{w}" for task, w in zip(("tracking", "arithmetic"), weights, strict=True))
        found = [text[:-1] for text in training_texts(replace(small, train=train), 10) if text.endswith("\n")]
        wanted = [
            example.question
            for task, count in zip(("tracking", "arithmetic"), counts, strict=True)
            for example in read(f"{task}/train", small).examples[:count]
        ]
        assert found == wanted


# ---------------------------------------------------------------- grading


def test_an_example_is_graded_by_the_rule_of_its_own_source(small: Data) -> None:
    """The right answer with a zero in front is right as a whole number and wrong as a text."""
    validation = joined(prepare(small, TOKENIZER, 0).validation)
    rows = [0, 20, 15, 27, 16]
    written = iter([f"0{validation[row].gold}" for row in rows])
    method = SimpleNamespace(
        prompt=lambda example, stage, blocks: example,
        answer=lambda backbone, prompts, *_: [[[1]] for _ in prompts],
        answer_in=lambda text, stage: text,
        writes_chain=lambda stage: False,
        controls=(),
    )
    tokenizer: Any = SimpleNamespace(batch_decode=lambda branches, skip_special_tokens: [next(written)])
    backbone: Any = SimpleNamespace(positions=None, device=SimpleNamespace(type="cpu"))
    found = Evaluator(method, tokenizer, Lengths(4, 4)).predict(backbone, validation, rows)  # type: ignore[arg-type]
    assert [row.final for row in found] == [False, True, False, True, True]
    assert [validation.source_of[row.id] for row in found] == [
        *("tracking/validation", "arithmetic/validation", "tracking/validation"),
        *("arithmetic/validation", "arithmetic/validation"),
    ]
