import json
import os

import pytest

from rim.base.files import SaveError
from rim.evaluation.predictions import Prediction, PredictionError, merge, read_jsonl, write_jsonl


def prediction(id: str = "gsm8k/test/0", **changes) -> Prediction:
    row = {
        "id": id,
        "question": "How many?",
        "gold": "7",
        "steps": 2,
        "answers": ("5", "7"),
        "correct": (False, True),
        "size": "1 digit",
    }
    return Prediction(**row | changes)


@pytest.mark.parametrize(
    ("correct", "final", "some"),
    [
        ((True,), True, True),
        ((False,), False, False),
        ((True, False), False, True),
        ((False, True), True, True),
        ((False, False, False), False, False),
    ],
)
def test_final_is_the_last_block_and_any_is_some_block(correct, final, some):
    one = prediction(answers=("x",) * len(correct), correct=correct)
    assert (one.final, one.any) == (final, some)


@pytest.mark.parametrize(("answers", "correct"), [((), ()), (("a", "b"), (True,)), (("a",), ())])
def test_a_prediction_has_one_mark_per_answer(answers, correct):
    with pytest.raises(PredictionError) as caught:
        prediction(answers=answers, correct=correct)
    assert f"'gsm8k/test/0' has {len(answers)} answers and {len(correct)} marks" in str(caught.value)


HARD_TEXTS = [
    "U+2028 \u2028 and \u2029 and \x85",
    "tab\tnewline\nreturn\r\n",
    'quote " \\',
    "€ é 漢字 🙂",
    "",
    "lone \ud800",
]


def test_files_keep_every_text(tmp_path):
    path = tmp_path / "new folder" / "predictions.jsonl"
    written = [prediction(f"x/{n}", question=text, answers=(text, "7")) for n, text in enumerate(HARD_TEXTS)]
    write_jsonl(written, path)
    assert read_jsonl(path) == written
    # Even a reader that splits at every Unicode line end sees one object a line.
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(written)


def test_separators_that_other_writers_leave_unescaped_do_not_split_a_line(tmp_path):
    row = prediction(question="one\u2028two\x85three")
    path = tmp_path / "raw.jsonl"
    path.write_text(json.dumps(vars(row), ensure_ascii=False) + "\n\n", encoding="utf-8", newline="\n")
    assert read_jsonl(path) == [row]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_jsonl([prediction()], path)

    def breaks():
        yield prediction("other")
        raise OSError(28, "No space left on device")

    with pytest.raises(SaveError, match="No space left on device; the previous file is intact"):
        write_jsonl(breaks(), path)
    assert read_jsonl(path) == [prediction()]
    assert os.listdir(tmp_path) == ["predictions.jsonl"]


GOOD = json.loads(json.dumps(vars(prediction())))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "x", "ques', "Unterminated string starting at"),
        ('"\udcff"', "'utf-8' codec can't decode byte 0xff"),
        ("[1, 2]", "'list' object has no attribute 'items'"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "gold"}), "missing 1 required positional argument: 'gold'"),
        (json.dumps(GOOD | {"golds": 1}), "got an unexpected keyword argument 'golds'"),
        (json.dumps(GOOD | {"correct": [True]}), "example 'gsm8k/test/0' has 2 answers and 1 marks"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, message):
    path = tmp_path / "broken.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n{line}\n", encoding="utf-8", errors="surrogateescape")
    with pytest.raises(PredictionError) as caught:
        read_jsonl(path)
    assert str(caught.value).startswith(f"{path}, line 2: not a prediction as it is written here: ")
    assert message in str(caught.value)


def test_merge_keeps_padded_duplicates_once_and_orders_numbers_as_numbers():
    ids = [f"gsm8k/test/{n}" for n in (10, 2, 9, 0)]
    first, second = [prediction(i) for i in ids], [prediction("gsm8k/test/10"), prediction("gsm8k/test/1")]
    expected = [f"gsm8k/test/{n}" for n in (0, 1, 2, 9, 10)]
    assert [one.id for one in merge([first, second])] == expected
    assert merge([second, first]) == merge([first, second])


def test_merge_orders_ids_that_differ_only_in_zeros():
    assert [one.id for one in merge([[prediction("1"), prediction("01"), prediction("a"), prediction("")]])] == [
        "", "01", "1", "a",
    ]  # fmt: skip


def test_merge_refuses_two_answers_to_one_example():
    with pytest.raises(PredictionError) as caught:
        merge([[prediction()], [prediction(answers=("5", "8"))]])
    assert str(caught.value) == (
        "two different predictions for example 'gsm8k/test/0': `answers` is ('5', '7') and ('5', '8'). "
        "Merge the predictions of one evaluation only; ids must be unique in a test set"
    )
