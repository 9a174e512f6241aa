"""What a benchmark's settings refuse, and what they say."""

import re
from pathlib import Path

import pytest

from rim.base.errors import SettingsError
from rim.studies.benchmark.settings import load_benchmark

BASE = """
name: made
overrides: [backbone.source=scratch, backbone.training=full]
entries:
  - {name: direct, overrides: [method.name=direct]}
  - {name: cot, overrides: [method.name=cot]}
"""


def loaded(folder: Path, *overrides: str, text: str = BASE):
    (folder / "made.yaml").write_text(text)
    return load_benchmark([folder / "made.yaml"], overrides)


def test_entries_get_the_settings_of_all_and_then_their_own(tmp_path: Path) -> None:
    bench = loaded(tmp_path, "root=elsewhere")
    assert (bench.reference_entry, bench.path) == ("direct", Path("runs/made"))
    configs = [bench.config(entry) for entry in bench.entries]
    assert [config.method.name for config in configs] == ["direct", "cot"]
    assert {config.data.root for config in configs} == {"elsewhere"}
    assert {config.backbone.source for config in configs} == {"scratch"}


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("entries=[]", "entries = []: a benchmark measures entries"),
        ("rounds=0", "rounds = 0: must be at least 1"),
        ("warmup=0", "warmup = 0: must be at least 1"),
        (
            "batch_sizes=[8,1]",
            "batch_sizes = [8, 1]: lists numbers of questions, at least 1, each once and the smallest",
        ),
        ("batch_sizes=[]", "batch_sizes = []: lists numbers of questions"),
        ("bandwidth=0", "bandwidth = 0.0: must be a positive number of GB/s; leave it empty to have it measured"),
        ("decode=[plan]", "decode = 'plan': there is no such name; did you mean 'plain'?; there are plain, static, "),
        ("decode=[plain,plain]", "decode = ['plain', 'plain']: each stands there once, and at least one does"),
        ("reference=rim", "reference = 'rim': there is no such name; there are direct, cot"),
        ("entries.1.name=direct", "entries: the name 'direct' 2 have it; every entry needs a name of its own"),
        ("entries.1.name=bound", "the name 'bound' is what bars call the reading of the weights"),
        ("entries.1.overrides=[method.name=cott]", "entry 'cot': "),
        (
            "entries.1.overrides=[backbone.scratch.layers=2]",
            "entry 'cot': backbone.scratch differs from that of 'direct'",
        ),
        ("questions=many", 'questions = "many": allowed is a whole number'),
        ("question=3", "question = \"3\": there is no such setting; did you mean 'questions'?"),
        ("published=[{entry: rim, first_ms: 1}]", "published[0].entry = 'rim': there is no such name"),
        ("bars=[{name: a, entry: rim, over: direct, at_most: 1}]", "bars[0].entry = 'rim': there is no such name"),
        ("bars=[{name: a, entry: cot, over: nothing, at_most: 1}]", "bars[0].over = 'nothing': there is no such name"),
        ("bars=[{name: a, entry: cot, over: direct}]", "bars[0] sets neither of at_most and at_least: set one"),
        ("bars=[{name: a, entry: cot, over: direct, at_most: 1, at_least: 1}]", "bars[0] sets both of at_most and"),
        (
            "bars=[{name: a, entry: cot, over: bound, at_most: 1, times_positions: true}]",
            "the bound reads no positions",
        ),
        (
            "bars=[{name: a, entry: cot, over: direct, at_most: 1, decode: [fast]}]",
            "bars[0].decode = 'fast': there is no",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(override: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=re.escape(text)):
        loaded(tmp_path, override)


def test_graphs_are_not_for_a_cpu(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="device = 'cpu': decode lists graph, and CUDA graphs run on a GPU alone"):
        loaded(tmp_path, "decode=[plain,graph]", "device=cpu")
