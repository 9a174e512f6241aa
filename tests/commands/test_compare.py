"""`python -m rim.compare` from end to end: it trains, skips, resumes, survives failures, and refuses in plain words."""

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import rim.compare as compare
from rim.studies.comparison import children
from tests.commands.test_verbs import HEAVY, ROOT, imported, python
from tests.runs import TINY, curve
from tests.warm import launch

PLAIN = [word for word in TINY if not word.startswith(("stages", "training.threads", "training.save_every"))]
ENTRIES = """
entries:
  - {name: direct, overrides: [method.name=direct]}
  - {name: blocks, overrides: [method.name=memory_blocks], start: direct}
"""


def write(folder: Path, text: str, updates: int = 20, *more: str) -> Path:
    """A file of a tiny comparison in `folder`."""
    shared = [*PLAIN, f"data.cache={folder}/cache", "stages.*.learning_rate=5e-3", "training.save_every=2 steps", *more]
    lines = [f"name: x\nfolder: {folder}\njobs: 2\nbudgets: [{{name: updates, updates: {updates}}}]", text]
    path = folder / "x.yaml"
    path.write_text("\n".join([*lines, "overrides:", *(f"  - {json.dumps(word)}" for word in shared)]))
    return path


def run(*words: object) -> tuple[int, str]:
    """The command's exit status and what it prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        status = compare.main([str(word) for word in words])
    return status, out.getvalue()


def times(folder: Path) -> dict[str, int]:
    """When results and logs were last written."""
    return {str(path): path.stat().st_mtime_ns for name in ("result.json", "*.log") for path in folder.rglob(name)}


@pytest.fixture(scope="module", autouse=True)
def warm() -> Iterator[None]:
    """Runs that are started here have no interpreter of their own; those of the command that is killed do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(children, "launch", launch)
        yield


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder of a finished comparison, two entries of two seeds; what a dry run and the command have printed."""
    folder = tmp_path_factory.mktemp("compare")
    file = write(folder, "seeds: [0, 1]" + ENTRIES)
    status, dry = run("--config", file, "--dry-run")
    assert status == 0 and not (folder / "x").exists(), "a dry run leaves nothing behind"
    status, text = run("--config", file)
    assert status == 0, text
    return folder, dry, text


def test_a_dry_run_lists_what_would_be_done(first: tuple[Path, str, str]) -> None:
    folder, dry, _ = first
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in dry.splitlines()[2:-2]]
    assert dry.endswith("\n\n0 of 4 runs are done\n") and rows == [
        [f"updates/{entry}/seed-{seed}", "20", "", start, "to do"]
        for seed in (0, 1) for entry, start in (("direct", ""), ("blocks", "direct"))
    ]  # fmt: skip
    _, later = run("--config", folder / "x.yaml", "--dry-run")
    assert later.endswith("\n4 of 4 runs are done\n") and later.count("| done ") == 4 and later.count("e+0") == 4, (
        "finished runs show the operations that they took"
    )


def test_runs_are_trained_and_compared(first: tuple[Path, str, str]) -> None:
    folder, _, text = first
    names = [f"updates/{entry}/seed-{seed}" for seed in (0, 1) for entry in ("direct", "blocks")]
    for name in names:
        assert f"started  {name}: 20 updates; {folder}/x/{name}.log" in text
        assert f"finished {name}: tracking/test 0." in text or f"finished {name}: tracking/test 1." in text
        assert (
            (folder / "x" / f"{name}.log").read_text().startswith(f"run           {folder}/x/{name}, seed {name[-1]}")
        )
    assert text.startswith("0 of 4 runs are done; 2 side by side\n[1/4] started  updates/direct/seed-0")
    assert "[4/4] finished" in text and text.endswith(f"tensorboard --logdir {folder}/x\n")
    table = (folder / "x" / "table.md").read_text()
    assert "| direct |     2 |" in table and "| blocks |     2 |" in table and "minus direct" in table
    settings = (folder / "x" / names[3] / "config.yaml").read_text()
    assert f"start_from: {folder}/x/{names[2]}\n" in settings
    assert json.loads((folder / "x" / names[2] / "environment.json").read_text())["threads"] == 1


def test_every_entry_is_timed_once_and_its_cost_is_known(first: tuple[Path, str, str]) -> None:
    folder = first[0] / "x" / "updates"
    timed = sorted(str(path.parent.relative_to(folder)) for path in folder.rglob("latency.json"))
    assert timed == ["blocks/seed-0", "direct/seed-0"]
    direct, blocks = json.loads((folder.parent / "results.json").read_text())["entries"]
    assert blocks["cost"]["flops_before"] == pytest.approx(direct["cost"]["flops"]) and blocks["cost"]["flops"] > 0
    assert direct["cost"]["latency"]["full_ms"]["mean"] > 0
    assert set(blocks["tests"]["tracking/test"]["controls"]) == {"removed"}


def test_a_repeated_command_trains_nothing(first: tuple[Path, str, str]) -> None:
    folder = first[0]
    before, table = times(folder), (folder / "x" / "table.md").read_bytes()
    status, text = run("--config", folder / "x.yaml", "--jobs", "1")
    assert status == 0 and text.startswith("4 of 4 runs are done; 1 side by side\n") and "started" not in text
    assert times(folder) == before and (folder / "x" / "table.md").read_bytes() == table


def test_a_run_that_fails_does_not_stop_the_comparison(first: tuple[Path, str, str]) -> None:
    folder, before = first[0], times(first[0])
    short = '  - {name: short, seeds: [1], overrides: ["backbone.scratch.positions=9"]}\n'
    text = (folder / "x.yaml").read_text().replace("overrides:\n", short + "overrides:\n")
    (folder / "more.yaml").write_text(text)
    status, said = run("--config", folder / "more.yaml")
    assert status == 1 and "\n1 of 5 runs failed:\nupdates/short/seed-1: exit status 2; " in said
    assert f"{folder}/x/updates/short/seed-1.log ends with\n    error: training example 'tracking/train/" in said
    assert said.endswith("Repeat the command to try them again; what is done stays.\n")
    assert (
        "**Not finished, and not in these numbers: updates/short/seed-1.**" in (folder / "x" / "table.md").read_text()
    )
    assert {path: when for path, when in times(folder).items() if "short" not in path} == before


def test_finished_runs_are_compared_by_their_folders(first: tuple[Path, str, str], tmp_path: Path) -> None:
    folder = first[0] / "x" / "updates"
    named = sorted([*folder.glob("*/seed-*")])
    assert [path.name for path in named if path.is_file()], "a pattern catches the logs, too"
    named = [path for path in named if "short" not in str(path)]
    status, text = run(*named, "--out", tmp_path / "out", "--reference", "direct")
    assert status == 0 and f"wrote {tmp_path}/out/table.md" in text
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(entry["entry"], entry["seeds"]) for entry in record["entries"]] == [("blocks", [0, 1]), ("direct", [0, 1])]
    trained = json.loads((first[0] / "x" / "results.json").read_text())
    difference = [entry["tests"]["tracking/test"]["difference"] for entry in record["entries"]]
    assert difference == [trained["entries"][1]["tests"]["tracking/test"]["difference"], None]


def test_tables_of_named_runs_have_a_place_of_their_own(first: tuple[Path, str, str]) -> None:
    folder = first[0] / "x" / "updates"
    seeds = [folder / "direct" / f"seed-{seed}" for seed in (0, 1)]
    for words, place in ((seeds[:1], "comparison"), (seeds, "comparison-2"), (seeds[:1], "comparison")):
        assert f"wrote {folder}/direct/{place}/table.md" in run(*words)[1]


def test_a_killed_command_goes_on_where_it_stopped(tmp_path: Path) -> None:
    seldom = ("training.validate_every=70 steps", "training.save_every=35 steps")
    file = write(tmp_path, ENTRIES.partition("  - {name: blocks")[0], 140, *seldom)
    folder = tmp_path / "x" / "updates" / "direct" / "seed-0"
    with subprocess.Popen(
        [sys.executable, "-m", "rim.compare", "--config", str(file)], stdout=subprocess.PIPE, text=True
    ) as process:
        end = time.monotonic() + 90
        while len(curve(folder)) < 5:
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert out.endswith("stopped by a signal: 0 of 1 runs are done; repeat the command to go on\n")
    log = folder.with_name("seed-0.log").read_text()
    stopped = int(log.rpartition("stopped by SIGTERM after update ")[2].split(";")[0])
    assert stopped < 140 and not (folder / "result.json").exists()
    assert "| resumes |" in run("--config", file, "--dry-run")[1]
    assert run("--config", file, "jobs=1")[0] == 0
    updates = [record["update"] for record in curve(folder) if "loss" in record]
    assert updates == list(range(1, 141)), "no update is missing, and none was done twice"
    assert f"resumed       after update {stopped} of 140\n" in folder.with_name("seed-0.log").read_text()[len(log) :]


def test_a_folder_of_another_comparison_is_refused_before_any_training(
    first: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = times(first[0])
    text = refused(capsys, "--config", first[0] / "x.yaml", "seeds=[7,1]", "budgets.0.updates=40")
    assert (
        "/updates/direct/seed-1 holds a run with other settings than the comparison asks for: training.duration" in text
    )
    assert '"20 steps" -> "40 steps"' in text and times(first[0]) == before


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What the command says as it ends with status 2."""
    with pytest.raises(SystemExit) as stop:
        compare.main([str(word) for word in words])
    text = capsys.readouterr().err
    assert stop.value.code == 2 and text.count("error: ") == 1, text
    return text


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "nothing to compare: name finished runs, runs/a runs/b, or a file of what to train, --config conf/comp"),
        (["--config", "x.yaml", "--out", "y"], "--out y: with --config the tables go to <folder>/<name>"),
        (["runs/a", "--jobs", "2"], "--jobs belongs to --config: finished runs are not trained"),
        (["runs/a", "--dry-run"], "--dry-run belongs to --config"),
        (["runs/a", "--only", "x"], "--only belongs to --config"),
        (["runs/a", "run.seed=2"], "'run.seed=2': settings of finished runs cannot be changed"),
        (["runs/a"], "runs/a is not a run folder: it has no config.yaml. Runs beside it: none"),
        (["--config", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["--config", "x.yaml", "--jobs", "0"], "jobs = 0: must be at least 1"),
        (
            ["--config", "x.yaml", "--reference", "blcks"],
            "reference = 'blcks': there is no such entry; did you mean 'bl",
        ),
        (["--config", "x.yaml", "base=[y.yaml]"], "entry 'direct': y.yaml: no such file; did you mean 'x.yaml'?"),
        (["--config", "x.yaml", "budgets.0.updates=21"], "entry 'blocks': stages of 75% + 25% make 22 of 21 updates"),
        (["--jbos", "3"], "'--jbos' is no option; did you mean --jobs?"),
    ],
)
def test_refusals(words: list[str], part: str, in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(in_folder, "seeds: [0]" + ENTRIES)
    assert part in refused(capsys, *words)
    assert [path.name for path in in_folder.iterdir()] == ["x.yaml"]


def test_an_unknown_reference_of_named_runs_lists_the_entries(
    first: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run_folder = first[0] / "x" / "updates" / "direct" / "seed-0"
    text = refused(capsys, run_folder, "--reference", "drect")
    assert "--reference drect: there is no such entry; did you mean 'direct'?; there are direct" in text


@pytest.mark.parametrize("words", [["--help"], ["--config", "conf/compare/smoke.yaml", "jobs=0"]])
def test_reading_the_command_line_imports_nothing_heavy(words: list[str]) -> None:
    done = python("-X", "importtime", "-m", "rim.compare", *words)
    assert done.returncode == (0 if words == ["--help"] else 2)
    assert imported(done) & HEAVY == set()


def test_the_smoke_comparison_is_valid(tmp_path: Path) -> None:
    status, text = run("--config", ROOT / "conf" / "compare" / "smoke.yaml", f"folder={tmp_path}", "--dry-run")
    assert status == 0 and text.count("to do |") == 12 and text.endswith("0 of 12 runs are done\n")
    assert text.count("| updates/rim/seed-0 ") == 1, "one run, though the other budget is measured by it"


def test_the_reference_of_settings_is_that_of_a_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        compare.main(["--help-config", "budgets"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "budgets[0].flops_of = null\n    text or null\n    Entry whose training FLOPs" in text
    assert "entries" not in text and "training." not in text
