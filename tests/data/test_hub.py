"""The hub without a network: its local cache if that holds the rows, and else a refusal that names the local files."""

import re
import time
from importlib import import_module
from pathlib import Path

import pytest

from rim.base import hub as asked
from rim.data import hub
from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.registry import task
from rim.settings import Data
from rim.settings.load import load
from tests.data.reading import read

STEPS = ["<<1+1=2>>", "<<2*2=4>>"]
ROWS: dict[str, list[tuple[str, str, str, dict[str, object], Example]]] = {
    "gsm8k/test": [
        (
            *("openai/gsm8k", "main", "test"),
            {"question": "q?", "answer": "so <<1+1=2>>2\n#### 2"},
            Example("gsm8k/test/0", "q?", ("<<1+1=2>>",), "2"),
        )
    ],
    "gsm8k_aug/train": [
        (
            *("whynlp/gsm8k-aug", "default", "train"),
            {"question": "q?", "steps": STEPS, "answer": "4"},
            Example("gsm8k_aug/train/0", "q?", tuple(STEPS), "4"),
        )
    ],
    "gsm_hard/test": [
        (
            *("reasoning-machines/gsm-hard", "default", "train"),
            {"input": "q?", "code": "", "target": 2.5},
            Example("gsm_hard/test/0", "q?", (), "2.5"),
        )
    ],
    "aqua/validation": [
        (
            *("deepmind/aqua_rat", "raw", "validation"),
            {"question": "q?", "options": ["A)1", "B)2"], "rationale": "so 2\nAnswer: B", "correct": "B"},
            Example("aqua/validation/0", "q?\nA. 1\nB. 2", ("so 2",), "B"),
        )
    ],
    "logiqa/train": [
        (
            *("lucasmccabe/logiqa", "default", "train"),
            {"context": "c.", "query": "q?", "options": ["x", "y", "z", "w"], "correct_option": 2},
            Example("logiqa/train/0", "c.\nq?\nA. x\nB. y\nC. z\nD. w", (), "C"),
        )
    ],
    "svamp/test": [
        (
            *("ChilleD/SVAMP", "default", split),
            {"ID": f"chal-{n}", "Body": "b.", "Question": "q?", "Equation": "( 8.0 - 3.0 )", "Answer": "5.0"},
            Example(f"svamp/test/chal-{n}", "b. q?", ("<<8-3=5>>",), "5"),
        )
        for n, split in enumerate(("train", "test"))
    ],
    "multiarith/test": [
        (
            *("ChilleD/MultiArith", "default", split),
            {"question": f" q{n}?", "final_ans": "26"},
            Example(f"multiarith/test/{n}", f"q{n}?", (), "26"),
        )
        for n, split in enumerate(("train", "test"))
    ],
    "math/train": [
        (
            *("DigitalLearningGmbH/MATH-lighteval", "default", "train"),
            {"problem": "p", "level": "Level 1", "type": "Algebra", "solution": "So it is $\\boxed{\\frac{1}{2}}$."},
            Example("math/train/0", "p", ("So it is $\\boxed{\\frac{1}{2}}$.",), "\\frac{1}{2}"),
        )
    ],
    "gpqa/diamond": [
        (
            *("Idavidrein/gpqa", "gpqa_diamond", "train"),
            {"Question": "q?", "Correct Answer": "r", "Incorrect Answer 1": "s", "Incorrect Answer 2": "t",
             "Incorrect Answer 3": "u", "Record ID": "rec0"},
            Example("gpqa/diamond/0", "q?\nA. t\nB. u\nC. r\nD. s", (), "C"),
        )
    ],
}  # fmt: skip
"""For a source: tables of the hub, a row of each, and the example that it is."""
OTHER = "0123456789" * 4


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of `datasets`, empty."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    hub._load.cache_clear()
    return tmp_path


def pinned(source: str) -> str:
    """The commit that a source's tables are pinned at, or another where they are not."""
    name, split = source.split("/")
    module = import_module(f"rim.data.tasks.{name}")
    revision: str = module.SOURCES[split].tables[0].revision
    return revision if hub.COMMIT.fullmatch(revision) else OTHER


def remember(cache: Path, name: str, config: str, split: str, rows: list[dict[str, object]], commit: str) -> None:
    """Lay rows into the cache as `datasets` leaves them after a download."""
    import datasets
    from datasets.arrow_writer import ArrowWriter
    from datasets.naming import camelcase_to_snakecase

    owner, short = name.split("/")
    folder = cache / f"{owner}___{camelcase_to_snakecase(short)}" / config / "0.0.0" / commit
    folder.mkdir(parents=True, exist_ok=True)
    features = datasets.Dataset.from_list(rows).features
    writer = ArrowWriter(path=str(folder / f"{camelcase_to_snakecase(short)}-{split}.arrow"), features=features)
    for row in rows:
        writer.write(row)
    examples, size = writer.finalize()
    splits = datasets.SplitDict()
    if (folder / "dataset_info.json").exists():
        splits = datasets.DatasetInfo.from_directory(str(folder)).splits or splits
    splits[split] = datasets.SplitInfo(name=split, num_bytes=size, num_examples=examples, dataset_name=short)
    named = {"config_name": config, "dataset_name": short, "builder_name": "parquet", "version": "0.0.0"}
    datasets.DatasetInfo(features=features, splits=splits, **named).write_to_directory(str(folder))


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("gsm8k/train", ["openai/gsm8k", "gsm8k/train.jsonl"]),
        ("gsm8k_aug/train", ["whynlp/gsm8k-aug", "gsm8k_aug/train.txt or gsm8k_icot/train.txt"]),
        ("gsm_hard/test", ["reasoning-machines/gsm-hard", "gsm_hard/gsmhardv2.jsonl"]),
    ],
)
@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:9"])
def test_without_network_the_local_files_are_named_at_once(
    source: str, parts: list[str], endpoint: str | None, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    if endpoint:  # nothing listens there; offline mode itself is off
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    start = time.monotonic()
    with pytest.raises(DataError, match="hub, which cannot be reached") as caught:
        read(source, Data(root=None))
    assert time.monotonic() - start < 15
    assert all(part in str(caught.value) for part in [*parts, "data.root=FOLDER", "run once with a network"])


@pytest.mark.parametrize("source", ROWS)
def test_rows_in_the_local_cache_are_used_without_network(source: str, cache: Path) -> None:
    for name, config, split, row, _ in ROWS[source]:
        remember(cache, name, config, split, [row], pinned(source))
    form = "sentences" if source.startswith(("aqua", "math")) else "equations"
    reading = read(source, Data(steps=form))
    assert reading.examples == [example for *_, example in ROWS[source]]
    assert f"{ROWS[source][0][0]} " in reading.origin and reading.origin.endswith(f"at {pinned(source)}")


def test_sentences_of_gsm8k_aug_are_another_table(cache: Path) -> None:
    row = {"question": "q?", "steps": ["One and one is two."], "answer": "2"}
    remember(cache, "whynlp/gsm8k-aug-nl", "default", "train", [row], OTHER)
    assert read("gsm8k_aug/train", Data(steps="sentences")).examples[0].steps == ("One and one is two.",)


def test_a_row_of_the_hub_is_checked_like_one_of_a_file(cache: Path) -> None:
    remember(cache, "openai/gsm8k", "main", "test", [{"question": "q?", "answer": "no mark"}], pinned("gsm8k/test"))
    with pytest.raises(DataError, match="openai/gsm8k, line 1: no '####' in 'no mark'"):
        read("gsm8k/test", Data())


BROKEN: dict[str, dict[str, object]] = {
    "gsm8k/test": {"answer": "so\n#### "},
    "gsm8k_aug/train": {"answer": ""},
    "gsm_hard/test": {"input": " "},
    "aqua/validation": {"correct": ""},
    "logiqa/train": {"correct_option": 7},
    "svamp/test": {"Answer": "", "ID": "chal-odd"},
    "multiarith/test": {"final_ans": ""},
    "math/train": {"problem": ""},
    "gpqa/diamond": {"Correct Answer": ""},
}
"""What makes a row of a source one that cannot be read."""
FORMS = {"aqua": "sentences", "math": "sentences"}


def tables(cache: Path, source: str, good: int, broken: int) -> Data:
    """Settings under which a source is read from the cache: each table with rows like the first, and broken ones."""
    for name, config, split, row, _ in ROWS[source]:
        ids = ({"ID": f"{split}-{n}"} if "ID" in row else {} for n in range(good))
        odd = ({**row, **BROKEN[source]} | ({"ID": f"{split}-odd-{n}"} if "ID" in row else {}) for n in range(broken))
        rows = [*({**row, **own} for own in ids), *odd]
        remember(cache, name, config, split, rows, pinned(source))
    return Data(steps=FORMS.get(source.split("/")[0], "equations"))  # type: ignore[arg-type]


@pytest.mark.parametrize("source", BROKEN)
def test_a_broken_row_of_a_table_is_left_out_and_counted(source: str, cache: Path) -> None:
    reading, count = read(source, tables(cache, source, good=9, broken=1)), len(ROWS[source])
    [(reason, broken)] = reading.dropped.items()
    assert (reading.read, len(reading.examples), broken) == (10 * count, 9 * count, count)
    assert reason.startswith(f"cannot be read, such as {ROWS[source][0][0]}, line 10: ")


@pytest.mark.parametrize("source", BROKEN)
def test_more_than_a_few_broken_rows_of_a_table_are_refused(source: str, cache: Path) -> None:
    config, count, name = tables(cache, source, good=9, broken=4), len(ROWS[source]), ROWS[source][0][0]
    with pytest.raises(DataError) as caught:
        read(source, config)
    text = str(caught.value)
    assert text.startswith(f"{source}: {4 * count} of {13 * count} rows cannot be read: {name}, line 10: ")
    assert f"; and {4 * count - 1} more. Of a table of the hub at most 3 rows, or 1% of them may be left out" in text
    assert f"data.revisions=[{name}@COMMIT], or set data.root=FOLDER to a folder that holds" in text


def test_answers_and_ids_of_a_table_are_checked_row_by_row(cache: Path) -> None:
    """An answer that no rule could read would be refused before scoring; two rows of a name when all are read."""
    row = ROWS["gsm8k/test"][0][3]
    odd: list[dict[str, object]] = [row] * 9 + [{"question": "q?", "answer": "#### half"}]
    remember(cache, "openai/gsm8k", "main", "test", odd, pinned("gsm8k/test"))
    reason = "cannot be read, such as openai/gsm8k, line 10: the rule 'integer' cannot read the answer 'half'"
    assert read("gsm8k/test", Data()).dropped == {reason: 1}
    name, config, _, row, _ = ROWS["svamp/test"][0]
    for split in ("train", "test"):
        remember(cache, name, config, split, [{**row, "ID": n} for n in (f"{split}-1", f"{split}-2", "x")],
                 pinned("svamp/test"))  # fmt: skip
    reason = "cannot be read, such as ChilleD/SVAMP, line 3: another row is named 'svamp/test/x'"
    assert read("svamp/test", Data()).dropped == {reason: 1}


def test_the_hub_is_asked_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tables and splits a run reads, and wherever it asks for fingerprint, origin and rows."""
    calls: list[object] = []

    def refused(*given: object, **options: object) -> None:
        calls.append(given)
        raise OSError("no network")

    from huggingface_hub import constants

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("socket.create_connection", refused)
    asked._answers.cache_clear()
    for source in ("svamp/test", "gsm8k/test"):
        for name, config, split, row, _ in ROWS[source]:
            remember(cache, name, config, split, [row], pinned(source))
        for _ in range(3):
            task(source.split("/")[0]).fingerprint("test", Data())
            read(source, Data())
    assert len(calls) == 1


def test_another_commit_than_the_pinned_one_is_read_by_name_alone(cache: Path) -> None:
    name, config, split, row, example = ROWS["gsm8k/test"][0]
    remember(cache, name, config, split, [row], OTHER)
    with pytest.raises(DataError) as caught:
        read("gsm8k/test", Data())
    way = f"data.revisions=[openai/gsm8k@{OTHER}]"
    assert f"at commit {OTHER}, and it is pinned at {pinned('gsm8k/test')}" in str(caught.value)
    assert way in str(caught.value)
    reading = read("gsm8k/test", load([], [way]).data)
    assert reading.examples == [example] and reading.origin == f"openai/gsm8k main test at {OTHER}"


@pytest.mark.parametrize("source", ["prosqa/train", "strategyqa/train", "coin_flip/test", "logiqa2/test"])
def test_what_is_on_no_hub_names_the_publishers_file(source: str) -> None:
    with pytest.raises(DataError) as caught:
        read(source, Data())
    assert f"{source} is read from the publisher's file alone" in str(caught.value)
    assert "set data.root=FOLDER to a folder that holds" in str(caught.value) and "https://github.com/" in str(
        caught.value
    )


def test_fingerprints_differ_by_split_and_by_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    commits = {"train": "one", "test": "one"}
    monkeypatch.setattr(hub, "_load", lambda table, online: hub.Loaded([], commits[table.split]))
    monkeypatch.setattr(hub, "COMMIT", re.compile("never"))
    found = task("gsm8k").fingerprint
    assert found("train", Data()) == found("train", Data()) != found("test", Data())
    before = found("test", Data())
    commits["test"] = "another"
    assert found("test", Data()) != before
