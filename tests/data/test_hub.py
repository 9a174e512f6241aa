"""The hub without a network: its local cache if that holds the rows, and else a refusal that names the local files."""

import time
from pathlib import Path

import pytest

from rim.config import Data
from rim.data import hub
from rim.data.example import DataError, Example, read, task

ROWS = {
    ("openai/gsm8k", "main", "test"): [{"question": "q?", "answer": "so <<1+1=2>>2\n#### 2"}],
    ("whynlp/gsm8k-aug", "default", "train"): [{"question": "q?", "steps": ["<<1+1=2>>", "<<2*2=4>>"], "answer": "4"}],
    ("reasoning-machines/gsm-hard", "default", "train"): [{"input": "q?", "code": "", "target": 2.5}],
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of `datasets`, empty."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    hub._load.cache_clear()
    return tmp_path


def remember(cache: Path, name: str, config: str, split: str, rows: list[dict[str, object]]) -> None:
    """Lay rows into the cache as `datasets` leaves them after a download."""
    import datasets
    from datasets.arrow_writer import ArrowWriter

    owner, short = name.split("/")
    folder = cache / f"{owner}___{short}" / config / "0.0.0" / "0123abc"
    folder.mkdir(parents=True)
    features = datasets.Dataset.from_list(rows).features
    writer = ArrowWriter(path=str(folder / f"{short}-{split}.arrow"), features=features)
    for row in rows:
        writer.write(row)
    examples, size = writer.finalize()
    written = datasets.SplitInfo(name=split, num_bytes=size, num_examples=examples, dataset_name=short)
    splits = datasets.SplitDict({split: written})
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


def test_rows_in_the_local_cache_are_used_without_network(cache: Path) -> None:
    for (name, config, split), rows in ROWS.items():
        remember(cache, name, config, split, rows)
    assert read("gsm8k/test", Data()).examples == [Example("gsm8k/test/0", "q?", ("<<1+1=2>>",), "2")]
    steps = ("<<1+1=2>>", "<<2*2=4>>")
    assert read("gsm8k_aug/train", Data()).examples == [Example("gsm8k_aug/train/0", "q?", steps, "4")]
    assert read("gsm_hard/test", Data()).examples == [Example("gsm_hard/test/0", "q?", (), "2.5")]


def test_a_row_of_the_hub_is_checked_like_one_of_a_file(cache: Path) -> None:
    remember(cache, "openai/gsm8k", "main", "test", [{"question": "q?", "answer": "no mark"}])
    with pytest.raises(DataError, match="openai/gsm8k, line 1: no '####' in 'no mark'"):
        read("gsm8k/test", Data())


def test_fingerprints_differ_by_split_and_by_commit(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "rows", lambda table: [])
    found = task("gsm8k").fingerprint
    assert found("train", Data()) == found("train", Data()) != found("test", Data())
    before = found("test", Data())
    monkeypatch.setattr(hub, "_commit", lambda name: "another")
    assert found("test", Data()) != before
