"""Encoding against a slow literal reference, and a cache that is whole, keyed by everything, and checked."""

import os
import pickle
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from rim.data import store, tokens
from rim.data.answers import RULES
from rim.data.encode import Request, encode, key
from rim.data.errors import DataError
from rim.data.example import Example, Reading
from rim.data.registry import parse_source
from rim.data.report import Report
from rim.data.store import EncodedSplit, Writer
from rim.data.task_split import TaskSplit
from rim.settings import Data, Own, Tracking
from tests.data.reading import read

SPECIAL = ["<bos>", "<eos>", "<pad>"]
TEXTS = ["Ann has the key, Bob the cup and Tom the hat. Ann and Bob swap. Who has the cup?", "48/2=24 clips in May"]


def make_tokenizer(template: str = "$A", added: list[str] | None = None) -> PreTrainedTokenizerFast:
    """A byte-level BPE whose family puts `template` around a text."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(TEXTS * 5, trainer)
    ids = [(token, made.token_to_id(token)) for token in SPECIAL]
    made.post_processor = processors.TemplateProcessing(single=template, special_tokens=ids)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")
    tokenizer.add_tokens(added or [], special_tokens=True)
    return tokenizer


@pytest.fixture
def config(tmp_path: Path) -> Data:
    return Data(cache=str(tmp_path / "cache"), tracking=Tracking(train_rows=60, test_rows=40))


TEST = Request(parse_source("tracking/test", Data()), "test")
TRAIN = Request(parse_source("tracking/train", Data()), "train")


@pytest.mark.parametrize("source", ["gsm8k/test", "gsm8k_aug/validation", "gsm_hard/test", "tracking/ood"])
def test_stored_rows_are_the_rows_encoded_one_by_one(source: str, config: Data, data_root: Path) -> None:
    config.root = str(data_root)
    tokenizer = make_tokenizer("<bos> $A")
    split = encode(Request(parse_source(source, config), "test"), config, tokenizer)
    examples = read(source, config).examples
    assert len(split) == len(examples) == split.report.kept == split.report.read
    for row in {*range(0, len(examples), 13), len(examples) - 1}:
        got, example = split[row], examples[row]
        assert (got.id, got.text, got.gold) == (example.id, example.question, example.answer)
        assert got.question.tolist() == [0, *tokenizer.encode(example.question + "\n", add_special_tokens=False)]
        assert [step.tolist() for step in got.steps] == [
            tokenizer.encode(step, add_special_tokens=False) for step in example.steps
        ]
        assert got.answer.tolist() == tokenizer.encode(example.answer, add_special_tokens=False)
        assert got.question.dtype == got.answer.dtype == np.int32
    every = [split[row] for row in range(len(split))]
    assert split.question_lengths.tolist() == [len(one.question) for one in every]
    assert split.steps_counts.tolist() == [len(one.steps) for one in every]
    steps = max((len(step) for one in every for step in one.steps), default=0)
    assert split.longest == (max(split.question_lengths), steps, max(len(one.answer) for one in every))
    assert split[-1].id == examples[-1].id
    with pytest.raises(IndexError, match=f"row {len(split)} of {len(split)} encoded examples of {source}"):
        split[len(split)]


@pytest.mark.parametrize(
    ("template", "first"), [("$A", None), ("<bos> $A", 0), ("<bos> $A <eos>", 0), ("$A <eos>", None)]
)
def test_a_question_begins_as_its_family_does_and_never_ends_the_text(template: str, first: int | None) -> None:
    tokenizer = make_tokenizer(template)
    [[question, answer, step]] = tokens.tokenise([Example("x", "Who?", ("Bob",), "Tom")], tokenizer, Data())
    prefix = [] if first is None else [first]
    assert question == prefix + tokenizer.encode("Who?\n", add_special_tokens=False)
    assert tokenizer.decode(answer) == "Tom" and tokenizer.decode(step) == "Bob"


def test_text_that_spells_a_special_token_stays_text() -> None:
    tokenizer = make_tokenizer("<bos> $A <eos>", added=["<|memory|>"])
    special = set(tokenizer.all_special_ids) | {tokenizer.convert_tokens_to_ids("<|memory|>")}
    text = "Is <|memory|> or <eos> a token?<eos>"
    [segments] = tokens.tokenise([Example("x", text, ("<eos>",), "<|memory|>")], tokenizer, Data(question_end="<eos>"))
    assert tokenizer.decode(segments[0][1:]) == text + "<eos>"
    assert not special & set(segments[0][1:]) and not any(special & set(ids) for ids in segments[1:])
    assert tokenizer("<eos>", add_special_tokens=False)["input_ids"] == [1]  # the tokenizer itself is left as it was


def test_a_text_without_tokens_is_an_error_that_names_the_example() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE({"W": 0, "h": 1, "o": 2}, [])))
    with pytest.raises(DataError, match="no tokens of step 1 of task/split/3"):
        tokens.tokenise([Example("task/split/3", "Who", ("x",), "o")], tokenizer, Data(question_end=""))


def test_right_answers_that_will_be_scored_are_read_before_training(config: Data, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"question": "q?", "answer": "7"}\n{"question": "q?", "answer": "seven"}\n')
    config.own = Own(train=str(file), validation=str(file), test=str(file), answer_rule="integer")
    tokenizer = make_tokenizer()
    assert len(encode(Request(parse_source("own/train", config), "train"), config, tokenizer)) == 1, (
        "in training it is left out"
    )
    for role in ("validation", "test"):
        with pytest.raises(DataError) as caught:
            encode(Request(parse_source(f"own/{role}", config), role), config, tokenizer)  # type: ignore[arg-type]
        assert f"own/{role}/1: the right answer 'seven' cannot be read by the rule 'integer'" in str(caught.value)
        assert "Mend the row, or give its task another rule" in str(caught.value)


def test_the_second_time_nothing_is_read_or_encoded(config: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = make_tokenizer()
    first = encode(TEST, config, tokenizer)
    monkeypatch.setattr(TaskSplit, "read", None)
    monkeypatch.setattr("rim.data.tokens.tokenise", None)
    again = encode(TEST, config, tokenizer)
    assert again.folder == first.folder and again[3].question.tolist() == first[3].question.tolist()
    assert again.report == first.report and again.answer_rule == "text"


@pytest.mark.parametrize(
    "change",
    [
        {"steps": "sentences"},
        {"steps": "results"},
        {"question_end": "?"},
        {"max_steps": 3},
        {"over_steps": "cap"},
        {"max_question_tokens": 100},
        {"max_step_tokens": 100},
        {"max_answer_tokens": 100},
        {"tracking": Tracking(seed=1, train_rows=60, test_rows=40)},
        {"tracking": Tracking(train_rows=61, test_rows=40)},
    ],
)
def test_every_setting_has_a_key_of_its_own(change: dict[str, Any], config: Data) -> None:
    tokenizer = make_tokenizer()
    assert key(TRAIN, replace(config, **change), tokenizer) != key(TRAIN, config, tokenizer)


@pytest.mark.parametrize(
    "change",
    [{"role": "validation"}, {"rows": 5}, {"seed": 1}, {"source": TEST.source}, {"without": (TEST.source,)}],
)
def test_every_request_has_a_key_of_its_own(change: dict[str, Any], config: Data) -> None:
    tokenizer = make_tokenizer()
    assert key(replace(TRAIN, **change), config, tokenizer) != key(TRAIN, config, tokenizer)


def test_a_report_names_the_file_that_was_asked_for(config: Data, tmp_path: Path) -> None:
    """Equal files share encoded rows, and each is told by its own name."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text('{"question": "q?", "answer": "7"}\n')
    origins = []
    for name in ("a", "b", "a"):
        config.own = Own(train=str(tmp_path / f"{name}.jsonl"))
        origins.append(
            encode(Request(parse_source("own/train", config), "train"), config, make_tokenizer()).report.origin
        )
    assert [origin.split(",")[0] for origin in origins] == [str(tmp_path / f"{name}.jsonl") for name in "aba"]
    assert len({origin.split(" sha256 ")[1] for origin in origins}) == 1 == len(os.listdir(config.cache))


def test_rows_that_are_written_while_they_are_read_are_refused(
    config: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the new rows would stand in the cache under the hash of the old ones."""
    file = tmp_path / "rows.jsonl"
    file.write_text('{"question": "q?", "answer": "7"}\n')
    config.own = Own(train=str(file))

    def slow(source: TaskSplit, config: Data) -> Reading:
        file.write_text('{"question": "q?", "answer": "8"}\n')
        return source.task.read(source.split, config)

    with monkeypatch.context() as patch:
        patch.setattr(TaskSplit, "read", slow)
        with pytest.raises(
            DataError, match="own/train changed while it was read: let who writes it finish, and repeat"
        ):
            encode(Request(parse_source("own/train", config), "train"), config, make_tokenizer())
    assert os.listdir(config.cache) == []
    assert encode(Request(parse_source("own/train", config), "train"), config, make_tokenizer())[0].gold == "8"


def test_another_version_of_the_answer_rule_has_a_key_of_its_own(config: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which answers survive the tokenizer depends on it."""
    before = key(TEST, config, make_tokenizer())
    monkeypatch.setitem(RULES, "text", replace(RULES["text"], revision=99))
    assert key(TEST, config, make_tokenizer()) != before


def test_settings_that_change_nothing_share_a_key(config: Data) -> None:
    tokenizer = make_tokenizer()
    assert key(TRAIN, replace(config, workers=3, cache="elsewhere"), tokenizer) == key(TRAIN, config, tokenizer)
    assert key(TEST, replace(config, max_steps=1, over_steps="cap"), tokenizer) == key(TEST, config, tokenizer)
    before = key(TEST, config, tokenizer)
    tokenizer(["a", "b c d"], padding=True, truncation=True, max_length=2)
    assert key(TEST, config, tokenizer) == before == key(TEST, config, make_tokenizer())


def test_every_tokenizer_has_a_key_of_its_own(config: Data) -> None:
    made = [make_tokenizer(), make_tokenizer("<bos> $A"), make_tokenizer(added=["<m>"]), make_tokenizer(added=["<n>"])]
    made.append(make_tokenizer())
    made[-1].eos_token = "<pad>"
    assert len({key(TEST, config, tokenizer) for tokenizer in made}) == 5


def _cut(folder: Path) -> None:
    data = (folder / "tokens.npy").read_bytes()
    (folder / "tokens.npy").write_bytes(data[:-8])


def _flip(folder: Path) -> None:
    data = bytearray((folder / "text.npy").read_bytes())
    data[-1] ^= 1
    (folder / "text.npy").write_bytes(bytes(data))


def _scribble(folder: Path) -> None:
    (folder / store.META).write_text("{")


def _forget(folder: Path) -> None:
    (folder / "first.npy").unlink()


def _foreign(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / "mine.txt").write_text("something else")


def _file(folder: Path) -> None:
    _foreign(folder)
    (folder / "mine.txt").unlink()
    folder.rmdir()
    folder.write_text("a file where a folder should be")


@pytest.mark.parametrize("damage", [_cut, _flip, _scribble, _forget, _foreign, _file])
def test_a_damaged_folder_is_made_again(damage: Any, config: Data) -> None:
    tokenizer = make_tokenizer()
    first = encode(TEST, config, tokenizer)
    wanted = [first[row].question.tolist() for row in range(len(first))]
    damage(first.folder)
    again = encode(TEST, config, tokenizer)
    assert [again[row].question.tolist() for row in range(len(again))] == wanted
    assert os.listdir(config.cache) == [first.folder.name]


def test_a_writer_that_was_killed_leaves_nothing_that_is_believed(
    config: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = make_tokenizer()
    with monkeypatch.context() as patch:
        patch.setattr("rim.data.store.os.rename", _killed)
        patch.setattr("rim.data.store.shutil.rmtree", lambda *_, **__: None)  # no clean-up either
        with pytest.raises(KeyboardInterrupt):
            encode(TEST, config, tokenizer)
    assert len(os.listdir(config.cache)) == 1
    assert len(encode(TEST, config, tokenizer)) == 40


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def _encode_and_count(config: Data, queue: Any) -> None:
    queue.put(len(encode(TEST, config, make_tokenizer())))


def test_two_processes_at_once_make_one_folder(config: Data) -> None:
    context = get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_encode_and_count, args=(config, queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [queue.get(timeout=60) for _ in workers] == [40, 40, 40]
    for worker in workers:
        worker.join()
    assert len(os.listdir(config.cache)) == 1


def test_a_split_travels_to_loader_processes_by_name(config: Data) -> None:
    split = encode(TEST, config, make_tokenizer())
    copy = pickle.loads(pickle.dumps(split))
    assert isinstance(copy, EncodedSplit) and len(pickle.dumps(split)) < 1000
    assert copy[7].question.tolist() == split[7].question.tolist() and copy[7].id == split[7].id


def test_a_cache_that_cannot_be_written_names_the_setting(config: Data, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written to .*set data.cache=FOLDER"):
        encode(TEST, replace(config, cache=str(tmp_path / "file")), make_tokenizer())


def test_a_full_disk_names_the_setting_and_leaves_no_rest(config: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rim.data.store.np.save", full)
    with pytest.raises(DataError, match=r"No space left on device.*free some space"):
        encode(TEST, config, make_tokenizer())
    assert os.listdir(config.cache) == []


def test_rows_of_many_batches_are_joined(tmp_path: Path) -> None:
    rows = [
        ((f"id{row}", f"q\u00e9{row}", str(row)), [[row, 1], [row], *([[9] * row] * (row % 3))]) for row in range(1, 50)
    ]
    writer = Writer()
    for start in range(0, 49, 10):
        writer.add(rows[start : start + 10])
    writer.write(tmp_path / "a", Report("s", 49, 49), "text")
    split = EncodedSplit(tmp_path / "a")
    for (texts, segments), got in zip(rows, (split[row] for row in range(49)), strict=True):
        assert (got.id, got.text, got.gold) == texts
        assert [got.question.tolist(), got.answer.tolist(), *map(np.ndarray.tolist, got.steps)] == segments
