"""What reading early costs: counted by a clock of passes, and from end to end on a tiny run."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import measure
import pytest
import stops
from stops import AT_ONCE, Stop, Subject, every_rule, measure_stops

from rim import evaluate
from rim.backbone.observer import layer_at
from rim.base.errors import UserError
from rim.studies.benchmark.summary import Spread
from tests.runs import tiny
from tests.studies.benchmark.fakes import BACKBONE, job
from tests.swift import fit

BLOCKS, TOKENS = 3, 4
SHORT = ("stages.0.duration=6 steps", "stages.1.duration=4 steps", "training.save_every=50 steps")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A second passes with every pass of the model, and at no other time."""
    passes: list[None] = []
    handle = BACKBONE.register_forward_hook(lambda *_: passes.append(None))
    monkeypatch.setattr(stops, "perf_counter", lambda: len(passes))
    yield
    handle.remove()


@pytest.mark.usefixtures("clock")
def test_every_way_takes_its_passes() -> None:
    """At once one, one by one as many as blocks; then one for every token but the first; agreement decodes them all."""
    made = job("rim", "memory_blocks", 9, 7)
    subject = Subject(BACKBONE, made.method, made.examples, BLOCKS, layer_at(BACKBONE, None), lambda _: TOKENS)
    rules = every_rule(BACKBONE.width, str)
    said: list[str] = []
    found = measure_stops(subject, rules, rounds=2, warmup=1, say=said.append)
    passes = {stop: spread.median / 1e3 for stop, spread in found.items()}
    lengths = {block: passes[Stop(AT_ONCE, block)] - 1 for block in range(1, BLOCKS + 1)}
    for block in range(1, BLOCKS + 1):
        assert 0 <= lengths[block] <= TOKENS - 1
        assert passes[Stop("confidence", block)] == passes[Stop("probe", block)] == block + lengths[block]
        assert passes[Stop("agreement", block)] == sum(1 + lengths[before] for before in range(1, block + 1))
    assert len(said) == 3 and said[0].startswith("blocks one by one, warm-up")


def test_a_rule_takes_the_mean_over_where_examples_stop() -> None:
    costs = {Stop(way, block): Spread(10.0 * block + extra, 0, 99) for block in (1, 2) for way, extra in WAYS.items()}
    facts = {
        "fixed": [{"blocks": 1}, {"blocks": 2}],
        "oracle": {"stops": [4, 4]},
        "rules": {
            "confidence": {"chosen": 1, "points": [{"stops": [8, 0]}, {"stops": [6, 2]}]},
            "probe": {"chosen": 0, "points": [{"stops": [0, 8]}]},
        },
    }
    found = measure.timed(facts, costs)
    assert [point["ms"] for point in found["rules"]["confidence"]["points"]] == [11.0, (6 * 11 + 2 * 21) / 8]
    assert [point["ms"] for point in found["fixed"]] == [10.0, 20.0] and found["oracle"]["ms"] == 16.0


WAYS = {AT_ONCE: 0.0, "confidence": 1.0, "probe": 3.0}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("early")
    assert fit(tiny(folder, *SHORT)) == 0
    return folder / "run"


def test_a_run_is_timed(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same stops and scores as without a clock, and the time of each."""
    assert evaluate.main(["--run", str(finished), "--adaptive"]) == 0
    capsys.readouterr()
    assert measure.main(["--run", str(finished), "--questions", "2", "--rounds", "2"]) == 0
    plain, found = (read(finished, kind) for kind in ("adaptive", "early"))
    same = plain.keys() - {"fixed", "oracle"}
    assert {name: found[name] for name in same} == {name: plain[name] for name in same}
    assert found["oracle"]["correct"] == plain["oracle"]["correct"]
    for rule in found["rules"].values():
        assert rule["points"][-1]["correct"] == plain["fixed"][-1]["correct"]
        assert rule["points"][-1]["blocks"] <= BLOCKS and len(rule["points"]) == len(rule["validation"])
        assert all(point["count"] == 16 for point in rule["validation"])
    costs = {Stop(each["way"], each["block"]): each["median"] for each in found["times"]}
    assert [point["ms"] for point in found["fixed"]] == [costs[Stop(AT_ONCE, k)] for k in (1, 2, 3)]
    for name, rule in found["rules"].items():
        for point in rule["points"]:
            mean = sum(n * costs[Stop(name, k)] for k, n in enumerate(point["stops"], 1)) / found["examples"]
            assert point["ms"] == pytest.approx(mean) and sum(point["stops"]) == found["examples"]
    text = capsys.readouterr().out
    assert "what reading early saves" in text and "one by one, agreement" in text and "full answer (ms)" in text
    assert (finished / "results" / "tracking-test-early.png").stat().st_size > 10_000


def read(run: Path, kind: str) -> dict[str, Any]:
    return json.loads((run / "results" / f"tracking-test-{kind}.json").read_text())


def changed(run: Path, folder: Path, edit: Callable[[str], str]) -> Path:
    """A copy whose settings are others."""
    copy = shutil.copytree(run, folder / "copy")
    (copy / "config.yaml").write_text(edit((copy / "config.yaml").read_text()))
    return copy


def test_loops_are_not_read_one_by_one(finished: Path, tmp_path: Path) -> None:
    looped = changed(finished, tmp_path, lambda text: text.replace("name: memory_blocks", "name: looped"))
    with pytest.raises(UserError, match="= looped: only blocks that are read in one pass can be read one by one"):
        measure.main(["--run", str(looped)])
    with pytest.raises(UserError, match="= 1: there is nothing to stop before; use 2 blocks or more"):
        measure.main(["--run", str(finished), "memory.blocks=1"])
