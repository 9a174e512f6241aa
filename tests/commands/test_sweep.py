"""`python -m rim.sweep` from end to end on tiny models, and what it says of command lines that it cannot use."""

import io
import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from rim import sweep
from rim.studies.sweeps import estimate, trial
from rim.studies.sweeps.settings import load_sweep
from rim.studies.sweeps.space import Run, check_points, make_parts
from tests.commands.test_verbs import HEAVY, ROOT, imported, python
from tests.runs import TINY
from tests.warm import launch

PLAIN = [word for word in TINY if not word.startswith("memory.blocks")]


def write(folder: Path) -> Path:
    """A file of a tiny sweep in `folder`: two axes of two values."""
    lines = [f"name: x\nfolder: {folder}\njobs: 2", "space: {memory.blocks: [1, 2], memory.insertion_layer: [0, 1]}"]
    words = [*PLAIN, f"data.cache={folder}/cache"]
    path = folder / "x.yaml"
    path.write_text("\n".join([*lines, "overrides:", *(f"  - {json.dumps(word)}" for word in words)]))
    return path


def run(*words: object) -> tuple[int, str]:
    """The command's exit status and what it prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        status = sweep.main([str(word) for word in words])
    return status, out.getvalue()


def test_a_sweep_trains_reports_and_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "launch", launch)
    file = write(tmp_path)
    status, text = run("--config", file)
    folder, names = tmp_path / "x", [f"blocks-{n}_insertion_layer-{layer}" for n in (1, 2) for layer in (0, 1)]
    assert status == 0 and text.startswith("0 of 4 trials are done; 2 side by side\n[1/4] started  blocks-1"), text
    assert f"started  {names[3]}: 1 seed; {folder}/{names[3]}/seed-0.log\n" in text and "\n[4/4] finished " in text
    record = json.loads((folder / "results.json").read_text())
    assert [point["values"] for point in record["points"]] == [
        {"memory.blocks": n, "memory.insertion_layer": layer} for n in (1, 2) for layer in (0, 1)
    ]
    for name, point in zip(names, record["points"], strict=True):
        result = json.loads((folder / name / "seed-0" / "result.json").read_text())
        (seed,) = point["runs"]
        assert seed["scores"]["tracking/test"]["correct"] == round(8 * result["accuracy"]["tracking/test"])
        assert seed["scores"]["validation"]["correct"] == result["weights"]["validation_correct"]
        assert (seed["updates"], seed["flops"]) == (20, result["training"]["flops"]) and seed["minutes"] > 0
        assert json.loads((folder / name / "seed-0" / "environment.json").read_text())["threads"] == 1
    assert record["versions"][0]["rim"] and (folder / "heat_map.png").exists()
    status, text = run("--config", file)
    assert status == 0 and text.startswith("4 of 4 trials are done; 2 side by side\n\n") and "started" not in text
    assert run("--config", file, "--dry-run")[1].endswith("Estimated time: none, all trials are done.\n")
    _, text = run("--config", file, "--dry-run", "space.memory.blocks=[1,2,3]", "--jobs", 1)
    assert text.count("| done ") == 4 and text.count("| to do ") == 2
    assert " for 2 runs of " in text and ", the mean of 4 finished ones, 1 side by side." in text


TIMED = """
import json, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
folder.mkdir(parents=True)
(folder / "data.json").write_text(json.dumps([{"kept": 60}]))
speeds = [1, 1, 16, 16, 16, 16, 16]
(folder / "curve.jsonl").write_text("".join(json.dumps({"examples_per_second": s}) + "\\n" for s in speeds))
time.sleep(60)
"""


def test_a_dry_run_times_some_points_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 16 examples a second, 8 an update: 20 updates take 10 seconds; 8 runs, two at once, 40."""
    file, seen, place = write(tmp_path), [], tmp_path / "temporary"

    def command(run: Run) -> list[str]:
        seen.append(run.overrides)
        return [sys.executable, "-S", "-c", TIMED, str(run.folder)]

    monkeypatch.setattr(trial, "command", command)
    monkeypatch.setattr(estimate, "MOST_POINTS", 2)
    monkeypatch.setattr(estimate.tempfile, "tempdir", str(place))
    place.mkdir()
    status, text = run("--config", file, "--dry-run", "seeds=[0,1]")
    assert status == 0 and text.count("|  0, 1 | to do |") == 4
    told = (
        "about 40 s for 8 runs of 10 s in the mean, 2 side by side, by timing 5 updates after 2 to warm up of 2 points."
    )
    assert f"\n\nEstimated time: {told}\nLeft out: start-up, validation, saving, scoring, later stages" in text
    assert [words[:2] for words in seen] == [
        ("memory.blocks=1", "memory.insertion_layer=0"), ("memory.blocks=2", "memory.insertion_layer=1"),
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["temporary", "x.yaml"] and not [*place.iterdir()]
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in told] == [
        "timing point 1 of 2, 120 s at most",
        "timing point 2 of 2, 120 s at most",
    ]


def test_a_signal_ends_a_dry_run_and_what_it_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "temporary"
    begun = place / "begun"
    asks = "import os, signal, sys, time; open(sys.argv[1], 'w').write(str(os.getpid()));"
    asks += "os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)"
    monkeypatch.setattr(trial, "command", lambda run: [sys.executable, "-S", "-c", asks, str(begun)])
    monkeypatch.setattr(estimate.tempfile, "tempdir", str(place))
    place.mkdir()
    assert run("--config", write(tmp_path), "--dry-run", "space={memory.blocks: [1]}")[0] == 143
    assert [path.name for path in place.iterdir()] == ["begun"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)


def test_a_point_that_cannot_be_timed_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        trial, "command", lambda run: [sys.executable, "-S", "-c", "raise SystemExit('error: too long')"]
    )
    status, text = run("--config", write(tmp_path), "--dry-run", "space={memory.blocks: [1, 2]}")
    assert status == 0 and text.endswith(
        "Estimated time: not known, because no run could be timed.\nblocks-1/seed-0, blocks-2/seed-0 could not be "
        "timed: exit status 1; its log ends with\n    error: too long\n"
    )


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What the command says as it ends with status 2."""
    with pytest.raises(SystemExit) as stop:
        sweep.main([str(word) for word in words])
    text = capsys.readouterr().err
    assert stop.value.code == 2 and text.count("error: ") == 1 and "Traceback" not in text, text
    return text


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "nothing to sweep: name a file of what to train, --config conf/sweeps/smoke.yaml"),
        (["--config", "x.yaml", "--dry-run", "--report"], "one looks ahead, the other back; name one"),
        (["--config", "nowhere.yaml"], "nowhere.yaml: no such file; the folder has: x.yaml"),
        (["--config", "x.yaml", "--jobs", "0"], "jobs = 0: must be at least 1"),
        (["--config", "x.yaml", "--report"], "there is no study 'x' in sqlite:///"),
        (["--config", "x.yaml", "space.memory.blokcs=[1]"], "there is no such setting; did you mean 'memory.blocks'?"),
        (
            ["--config", "x.yaml", "space.memory.insertion_layer=[0,2]"],
            "point blocks-1_insertion_layer-2 (and 1 more): ",
        ),
        (["--config", "x.yaml", "metric=tracking/tets"], "the runs have no such score; did you mean 'tracking/test'?"),
        (["--config", "x.yaml", "storage=nowhere"], "storage is no address: write postgresql://"),
        (["--report", "--jbos", "3"], "'--jbos' is no option; did you mean --jobs?"),
    ],
)
def test_refusals(words: list[str], part: str, in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(in_folder)
    assert part in refused(capsys, *words)
    assert not [*in_folder.rglob("seed-0*")] and not [*in_folder.rglob("study.db")]


@pytest.mark.parametrize("words", [["--config", "conf/sweeps/smoke.yaml", "jobs=0"], ["--help-config"]])
def test_reading_the_command_line_imports_nothing_heavy(words: list[str]) -> None:
    done = python("-X", "importtime", "-m", "rim.sweep", *words)
    assert done.returncode == (2 if "jobs=0" in words else 0)
    assert imported(done) & (HEAVY | {"optuna", "sqlalchemy"}) == set()


def test_a_bad_space_is_refused_before_anything_heavy_is_imported() -> None:
    given = "space.memory.insertion_layer=[7]"
    done = python("-X", "importtime", "-m", "rim.sweep", "--config", "conf/sweeps/smoke.yaml", given)
    assert done.returncode == 2 and "must be at most 1" in done.stderr
    assert imported(done) & (HEAVY | {"optuna", "sqlalchemy"}) == set()


@pytest.mark.parametrize("file", sorted((ROOT / "conf" / "sweeps").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_sweep_of_the_project_can_be_trained(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # base files are named from the folder of the project
    parts = make_parts(load_sweep([file]))
    check_points(parts)
    assert parts[-1].points >= 2 and f"python -m rim.sweep --config conf/sweeps/{file.name}" in file.read_text()
