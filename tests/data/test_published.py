"""The readers of published data sets, against the real files and their known quirks."""

import json
from pathlib import Path

import pytest

from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.row import Row
from rim.data.tasks import gsm8k, gsm8k_aug
from rim.settings import Data
from tests.data.reading import distinct, read


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").rstrip("\n").split("\n")


def write_line(example: Example) -> str:
    return f"{example.question}||{' '.join(example.steps)} #### {example.answer}"


def of_line(line: str) -> Example:
    return gsm8k_aug.parse(Row(line, "text", 1, 0, "sentences", "gsm8k_aug/train"))


def plain(text: str) -> str:
    return " ".join(text.split())


def test_rewritten_test_rows_are_the_published_lines(data_root: Path) -> None:
    examples = read("gsm8k/test", Data(root=str(data_root))).examples
    assert [write_line(example) for example in examples] == lines(data_root / "gsm8k_icot" / "test.txt")
    assert len(examples) == 1319


def test_both_forms_of_the_test_set_read_alike(data_root: Path) -> None:
    config = Data(root=str(data_root))
    publisher, line_format = read("gsm8k/test", config).examples, read("gsm8k_aug/test", config).examples
    for one, other in zip(publisher, line_format, strict=True):
        assert (one.question, one.steps, one.answer) == (other.question, other.steps, other.answer)
    assert publisher[7].id == "gsm8k/test/7" and line_format[7].id == "gsm8k_aug/test/7"


def test_validation_lines_are_train_rows(data_root: Path) -> None:
    config = Data(root=str(data_root))
    rewritten = {write_line(example) for example in read("gsm8k/train", config).examples}
    validation = lines(data_root / "gsm8k_icot" / "valid.txt")
    kept = {plain(line.split("||")[0]) for line in rewritten} - {plain(line.split("||")[0]) for line in validation}
    assert (len(rewritten), len(validation), len(kept)) == (7473, 500, 6973)
    no_augmentation = {plain(line.split("||")[0]) for line in lines(data_root / "gsm8k_icot" / "train_no_aug.txt")}
    assert kept == no_augmentation


def test_a_line_survives_reading_and_writing(data_root: Path) -> None:
    for line in lines(data_root / "gsm8k_icot" / "valid.txt"):
        assert write_line(of_line(line)).replace(" ", "") == line.replace(" ", "")


def test_sentence_lines_become_sentences(data_root: Path) -> None:
    line = lines(data_root / "gsm8k_icot" / "train_no_aug.txt")[0]
    example = of_line(line)
    assert len(example.steps) > 1 and " ".join(example.steps) == plain(line.split("||")[1].split("####")[0])


def test_counts_of_the_quirks_of_gsm8k(data_root: Path) -> None:
    for split, rows, without in (("train", 7473, 95), ("test", 1319, 18)):
        reading = read(f"gsm8k/{split}", Data(root=str(data_root)))
        assert (reading.read, len(reading.examples), distinct(reading)) == (rows, rows, rows)
        assert sum(not example.steps for example in reading.examples) == without
        assert reading.dropped == {}
    validation = read("gsm8k_aug/validation", Data(root=str(data_root))).examples
    assert [row for row, example in enumerate(validation) if not example.steps] == [89, 186, 327, 411, 445, 468]


def test_sentences_are_the_lines_without_annotations(data_root: Path) -> None:
    examples = read("gsm8k/train", Data(root=str(data_root), steps="sentences")).examples
    assert examples[0].steps == (
        "Natalia sold 48/2 = 24 clips in May.",
        "Natalia sold 48+24 = 72 clips altogether in April and May.",
    )
    for row in (480, 2617, 2815, 5402):  # an empty line inside
        assert all(examples[row].steps)
    assert not any("<<" in step or "\n" in step for example in examples for step in example.steps)


def test_annotations_keep_their_order_and_text() -> None:
    rationale = "He pays <<4500*5=22500>>22,500.\n\nThat is <<3/4=3/4>>3/4.\nSo it is done."
    assert gsm8k.steps(rationale, "equations") == ("<<4500*5=22500>>", "<<3/4=3/4>>")
    assert gsm8k.steps(rationale, "sentences") == ("He pays 22,500.", "That is 3/4.", "So it is done.")


def test_results_are_right_of_the_last_equals_sign(data_root: Path) -> None:
    """Both readers, on all rows of the test set, against the published lines cut by hand."""
    config = Data(root=str(data_root), steps="results")
    for source in ("gsm8k/test", "gsm8k_aug/test"):
        examples = read(source, config).examples
        for example, line in zip(examples, lines(data_root / "gsm8k_icot" / "test.txt"), strict=True):
            equations = line.split("||")[1].split(" #### ")[0].split()
            assert list(example.steps) == [equation.split("=")[-1].replace(">>", "") for equation in equations]
        assert examples[0].steps == ("9", "18") and "3/4" in examples[319].steps and not examples[24].steps
    train = read("gsm8k/train", config).examples
    assert train[0].steps == ("24", "72") and sum(len(example.steps) for example in train) == 23716
    assert not any(mark in step for example in train for step in example.steps for mark in "<>= ")
    assert read("gsm_hard/test", config).examples[0].steps == ()


def test_results_of_a_chain_of_equals_signs_and_of_a_sentence_file(tmp_path: Path, data_root: Path) -> None:
    path = tmp_path / "gsm8k_aug" / "train.txt"
    path.parent.mkdir()
    config = Data(root=str(tmp_path), steps="results")
    path.write_text("How many?||<<1+2=3=3>> <<3*.5= 1.5 >> #### 2\n")
    assert read("gsm8k_aug/train", config).examples[0].steps == ("3", "1.5")
    sentences = lines(data_root / "gsm8k_icot" / "train_no_aug.txt")[0]
    path.write_text(f"How many?||<<1+2=3>> #### 3\n{sentences}\n")
    with pytest.raises(DataError) as caught:
        read("gsm8k_aug/train", config)
    assert str(caught.value) == (
        f"{path}, line 2: the step 'The annual budget for policing is 32 / 2 = $16 million.' is no equation; "
        "data.steps=results takes what stands right of the last '=' of equations such as <<48/2=24>>. Way out: set "
        "data.steps=equations to take steps as they are written, or mend the row"
    )


def test_gsm_hard_has_float_targets_and_no_steps(data_root: Path) -> None:
    reading = read("gsm_hard/test", Data(root=str(data_root)))
    assert reading.read == 660
    assert [example.id for example in reading.examples[:2]] == ["gsm_hard/test/0", "gsm_hard/test/2"]
    targets = [json.loads(line)["target"] for line in lines(data_root / "gsm_hard" / "gsmhardv2.even.jsonl")]
    assert [float(example.answer) for example in reading.examples] == targets
    assert not any(example.steps for example in reading.examples)
    assert sum("e" in example.answer for example in reading.examples) == 14


def test_the_full_gsm_hard_is_preferred_and_counts_every_row(tmp_path: Path) -> None:
    (tmp_path / "gsm_hard").mkdir()
    rows = [json.dumps({"input": f"q{row}?", "code": "", "target": float(row)}) for row in range(3)]
    (tmp_path / "gsm_hard" / "gsmhardv2.jsonl").write_text("\n".join(rows) + "\n")
    (tmp_path / "gsm_hard" / "gsmhardv2.even.jsonl").write_text(rows[0] + "\n")
    examples = read("gsm_hard/test", Data(root=str(tmp_path))).examples
    assert [example.id for example in examples] == [f"gsm_hard/test/{row}" for row in range(3)]


def test_augmented_train_file_comes_first_and_its_absence_names_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read("gsm8k_aug/train", Data(root=str(tmp_path)))
    message = str(caught.value)
    for part in ("gsm8k_aug/train.txt", "gsm8k_icot/train.txt", "data.train=gsm8k/train", "data.root=null"):
        assert part in message
    for folder, answer in (("gsm8k_icot", "2"), ("gsm8k_aug", "3")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.txt").write_text(f"How many?|| #### {answer}\n")
        examples = read("gsm8k_aug/train", Data(root=str(tmp_path))).examples
        assert examples == [Example("gsm8k_aug/train/0", "How many?", (), answer)]


def test_fingerprints_follow_the_bytes(tmp_path: Path) -> None:
    config = Data(root=str(tmp_path))
    path = tmp_path / "gsm8k" / "test.jsonl"
    path.parent.mkdir()
    path.write_text('{"question": "q?", "answer": "#### 1"}\n')
    before = gsm8k.TASK.fingerprint("test", config)
    assert gsm8k.TASK.fingerprint("test", config) == before
    path.write_text('{"question": "q?", "answer": "#### 2"}\n')
    assert gsm8k.TASK.fingerprint("test", config) != before
    assert gsm8k_aug.TASK.fingerprint != gsm8k.TASK.fingerprint
