"""Defaults < files < overrides, and what is said when something does not fit."""

import subprocess
import sys
from pathlib import Path

import pytest

from rim.settings import Config, default_stages, merge, schema
from rim.settings.load import SettingsError, differences, flat, load, save

ROOT = Path(__file__).resolve().parent.parent
STAGES = """
stages:
  - {name: ground, objective: grounding, duration: 2 epochs, learning_rate: 1e-3}
  - {name: refine, objective: refinement, duration: 1 epoch}
"""


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


@pytest.fixture(autouse=True)
def _in_folder(in_folder: Path) -> None:
    """Files are named without a folder."""


def test_later_files_win_over_earlier_ones_and_overrides_over_files() -> None:
    first = write("first.yaml", "training: {batch_size: 64, clip: 2}\nrun: {seed: 1}\n")
    second = write("second.yaml", "training:\n  batch_size: 32\n")
    config = load([first, second], ["run.seed=3"])
    assert (config.training.batch_size, config.training.clip, config.run.seed) == (32, 2.0, 3)
    assert config.training.log_every == Config().training.log_every


def test_nothing_asked_is_the_defaults_with_the_stages_of_the_method() -> None:
    expected = Config()
    expected.stages = default_stages("memory_blocks")
    assert load([]) == expected
    assert [stage.objective for stage in load([], ["method.name=cot"]).stages] == ["chain"]
    assert [stage.objective for stage in load([], ["stages=[]", "method.name=direct"]).stages] == ["answer"]


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("stages.0.learning_rate=1e-3", "stages[0].learning_rate", 1e-3),
        ("stages[1].name=second", "stages[1].name", "second"),
        ("stages.1.dropout=null", "stages[1].dropout", None),
        ("data.test=[tracking/test,gsm8k/test]", "data.test", ["tracking/test", "gsm8k/test"]),
        ("data.test.0=gsm8k/test", "data.test[0]", "gsm8k/test"),
        ("evaluation.controls=[]", "evaluation.controls", []),
        ("training.betas=[0, 0.95]", "training.betas", [0.0, 0.95]),
        ("data.root=null", "data.root", None),
        ("data.root=../shared/data", "data.root", "../shared/data"),
        ("training.clip=1", "training.clip", 1.0),
        ("memory.readout_sees_question=false", "memory.readout_sees_question", False),
        ("run.name=1e4", "run.name", "1e4"),
        ("run.name=007", "run.name", "007"),
        ("run.name=yes", "run.name", "yes"),
        ("method.answer_cue= a: b ", "method.answer_cue", " a: b "),
        ("method.answer_cue=", "method.answer_cue", ""),
        ("method.answer_cue=a=b", "method.answer_cue", "a=b"),
        ('data.question_end="\\n\\n"', "data.question_end", "\n\n"),
        ("run.name=seed-${run.seed}", "run.name", "seed-0"),
        ("method.answer_cue=\\${x}", "method.answer_cue", "${x}"),
        ("data={train_rows: 5}", "data.train_rows", 5),
    ],
)
def test_overrides(override: str, path: str, value: object) -> None:
    from rim.settings.checks import value_at

    config = load([], [override])
    found = value_at(config, path)
    assert (found, type(found)) == (value, type(value))


def test_a_length_that_no_stage_is_a_share_of_is_refused_where_it_was_asked_for() -> None:
    with pytest.raises(SettingsError) as error:
        load([ROOT / "conf" / "gsm8k.yaml"], ["training.duration=24 steps"])
    assert str(error.value) == (
        "override 'training.duration=24 steps': training.duration = \"24 steps\": would change nothing, for no stage "
        "is in per cent of it (stages last 6 epochs, 2 epochs); set stages.0.duration and so on, in per cent or steps"
    )
    from_a_file = load([ROOT / "conf" / "tracking.yaml", ROOT / "conf" / "gsm8k.yaml"])
    assert from_a_file.training.duration == "3000 steps" and from_a_file.stages[0].duration == "6 epochs"
    shares = ["training.duration=24 steps", "stages.0.duration=75%"]
    assert load([ROOT / "conf" / "gsm8k.yaml"], shares).stages[0].duration == "75%"


def test_the_later_override_wins() -> None:
    assert load([], ["run.seed=1", "run.seed=2"]).run.seed == 2


def test_an_override_of_a_stage_changes_the_list_of_the_file() -> None:
    config = load([write("run.yaml", STAGES)], ["stages.0.learning_rate=5e-4"])
    assert [(stage.name, stage.learning_rate) for stage in config.stages] == [("ground", 5e-4), ("refine", 1e-4)]


def test_a_star_sets_the_field_of_every_stage_and_the_later_override_wins() -> None:
    rates = lambda *given: [stage.learning_rate for stage in load(*given).stages]  # noqa: E731
    assert rates([], ["stages.*.learning_rate=2e-3"]) == [2e-3, 2e-3]
    assert rates([], ["method.name=icot", "stages[*].learning_rate=2e-3"]) == [2e-3] * 3
    file = [write("run.yaml", STAGES)]
    assert rates(file, ["stages.*.learning_rate=2e-3", "stages.1.learning_rate=5e-4"]) == [2e-3, 5e-4]
    assert rates(file, ["stages.1.learning_rate=5e-4", "stages.*.learning_rate=2e-3"]) == [2e-3, 2e-3]
    both = load(file, ["stages.*={warmup: 3 steps, schedule: cosine}"]).stages
    assert [(stage.name, stage.warmup, stage.schedule) for stage in both] == [
        ("ground", "3 steps", "cosine"), ("refine", "3 steps", "cosine"),
    ]  # fmt: skip
    assert load([], ["training.betas.*=0.9"]).training.betas == [0.9, 0.9]


def test_a_star_in_an_empty_list_is_refused_as_an_index_is() -> None:
    for part in ("0", "*"):
        with pytest.raises(SettingsError) as raised:
            load([], ["data.test=[]", f"data.test.{part}=gsm8k/test"])
        assert str(raised.value) == (
            f"override 'data.test.{part}=gsm8k/test': data.test[{part}] = gsm8k/test: data.test has 0 entries; allowed "
            "is nothing: the list is empty, give it whole"
        )


def test_a_contradiction_that_a_star_made_names_it() -> None:
    with pytest.raises(SettingsError, match=r"^override 'stages.\*.name=x': stages\[1\].name = \"x\": stages\[0\] has"):
        load([], ["stages.*.name=x"])


def test_stages_of_a_later_file_replace_those_of_an_earlier_one() -> None:
    one = write("one.yaml", "stages: [{name: only, objective: refinement}]\n")
    config = load([write("two.yaml", STAGES), one])
    assert [(stage.name, stage.duration) for stage in config.stages] == [("only", "1 epoch")]


WRONG_FILES = [
    (
        STAGES.replace("learning_rate", "learning_rat"),
        "run.yaml: stages[0].learning_rat = 0.001: there is no such setting; did you mean 'stages[0].learning_rate'?; "
        "stages[0] has: name, objective, duration, learning_rate,",
    ),
    (
        STAGES.replace("1 epoch", "1 epoch, schedule: cosin"),
        "run.yaml: stages[1].schedule = \"cosin\": allowed is one of constant, cosine, linear; did you mean 'cosine'?",
    ),
    (
        "training: {batchsize: 3}",
        "run.yaml: training.batchsize = 3: there is no such setting; did you mean 'training.b",
    ),
    (
        "batch_size: 3",
        "did you mean 'training.batch_size' or 'evaluation.batch_size'?; a run has: run, data, backbone,",
    ),
    ("training: {batch_size: abc}", 'run.yaml: training.batch_size = "abc": allowed is a whole number'),
    ("training: {batch_size: 1.5}", "training.batch_size = 1.5: allowed is a whole number"),
    ("training: {batch_size: true}", "training.batch_size = true: allowed is a whole number"),
    ("training: {batch_size: null}", "training.batch_size = null: allowed is a whole number"),
    ("training: {threads: x}", 'training.threads = "x": allowed is a whole number or null'),
    ("training: {clip: '1'}", 'training.clip = "1": allowed is a number'),
    ("training: {clip: .nan}", "training.clip = NaN: must be 0 or more"),
    ("training: {betas: [0.9, x]}", 'training.betas[1] = "x": allowed is a number'),
    ("training: {betas: 0.9}", "training.betas = 0.9: allowed is a list of numbers"),
    ("memory: {readout_sees_question: 1}", "memory.readout_sees_question = 1: allowed is true or false"),
    ("run: {name: 007}", "run.name = 7: allowed is text; put it in quotes"),
    ("data: {test: tracking/test}", 'data.test = "tracking/test": allowed is a list of texts'),
    ("data: 5", "run.yaml: data = 5: allowed is a section with train, validation, test,"),
    ("data:", "run.yaml: data = null: allowed is a section with train, validation, test,"),
    ("- a\n- b", 'run.yaml: the file = ["a", "b"]: allowed is a section with run, data, backbone, memory,'),
    ("stages: {name: a}", 'run.yaml: stages = {"name": "a"}: allowed is a list of sections'),
    ("stages: [grounding]", 'run.yaml: stages[0] = "grounding": allowed is a section with name, objective,'),
    ("stages: [{name: a}]", "run.yaml: stages[0].objective is not set and has no default; allowed is one of grounding"),
    (
        "run: {name: a}\ntraining: {clip: 1}}",
        "run.yaml, line 2, column 20: this is not valid YAML: did not find expected",
    ),
    ("run: {}\nrun: {}", "run.yaml, line 2, column 1: this is not valid YAML: found duplicate key run"),
    ("just words", "run.yaml: just words = null: there is no such setting; a run has: run, data, backbone, memory,"),
    ("5", "run.yaml: cannot be read as settings, sections of `key: value` lines"),
    ("run: {name: '${run.nam}'}", "run.yaml: run.name: Interpolation key 'run.nam' not found; allowed is text"),
    ("memory: {blocks: 0}", "run.yaml: memory.blocks = 0: must be at least 1"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_FILES)
def test_a_wrong_file_is_a_lesson(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load([write("run.yaml", text)])
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.batch_size", "override 'training.batch_size': an override is written `key=value`; a file stands"),
        ("=3", "override '=3': an override is written `key=value`"),
        (
            "training.batch_siz=3",
            "override 'training.batch_siz=3': training.batch_siz = \"3\": there is no such setting",
        ),
        ("stages.0.learning_rat=1", "did you mean 'stages[0].learning_rate'?"),
        ("stages.2.name=x", "stages[2] = x: stages has 2 entries; allowed is an index from 0 to 1, or *"),
        ("stages.first.name=x", "stages[first] = x: stages has 2 entries; allowed is an index from 0 to 1"),
        ("run.name.x=1", "run.name is text, not a section: 'x' cannot follow it"),
        (
            "stages.*.learning_rat=1",
            "override 'stages.*.learning_rat=1': stages[0].learning_rat = \"1\": there is no such setting; did you "
            "mean 'stages[0].learning_rate'?",
        ),
        ("stages.*.learning_rate=fast", 'stages[0].learning_rate = "fast": allowed is a number'),
        ("stages.**.learning_rate=1", "stages[**] = 1: stages has 2 entries; allowed is an index from 0 to 1, or *"),
        (
            "training.*=3",
            "override 'training.*=3': training.*: `*` stands for the index of a list alone, as in "
            "stages.*.learning_rate=1e-3; training is a section, so name one of duration, batch_size,",
        ),
        ("*.seed=3", "*: `*` stands for the index of a list alone, as in stages.*.learning_rate=1e-3; the whole is a "),
        (
            "run.seed.*=3",
            "run.seed.*: `*` stands for the index of a list alone, as in stages.*.learning_rate=1e-3; run",
        ),
        ("stages.*.name.*=a", "stages[0].name.*: `*` stands for the index of a list alone"),
        ("run.name=null", "override 'run.name=null': run.name = null: allowed is text"),
        ("method.name=memory_block", "; did you mean 'memory_blocks'?"),
        ("training.batch_size=", "training.batch_size = null: allowed is a whole number"),
        ("data.test=[gsm8k/test", 'data.test = "[gsm8k/test": allowed is a list of texts'),
        ("data.test=gsm8k/test", "allowed is a list of texts: [..., ...]; did you mean data.test=[gsm8k/test]?"),
        ("evaluation.blocks=4", "did you mean evaluation.blocks=[4]?"),
        ("method=pause", "removal_smoothing; did you mean 'method.name=pause'?"),
        ("lr=1e-3", "there is no such setting; did you mean 'stages.*.learning_rate'?; a run has"),
        ("run.name=${", "allowed is text; ${...} refers to another setting, and text is marked \\${"),
        ("training=64", "training = 64: allowed is a section with duration, batch_size,"),
        ("training.devices=130", "defaults: training.batch_size = 128: must be at least nodes x devices = 130"),
    ],
)
def test_a_wrong_override_is_a_lesson(override: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load([], [override])
    assert message in str(raised.value)


def test_a_missing_file_names_the_nearest() -> None:
    write("gsm8k.yaml", "")
    with pytest.raises(SettingsError, match=r"gsm8.yaml: no such file; did you mean 'gsm8k.yaml'\?"):
        load(["gsm8.yaml"])
    with pytest.raises(SettingsError, match=r"tracking.yaml: no such file; the folder has: gsm8k.yaml"):
        load(["tracking.yaml"])
    with pytest.raises(SettingsError, match=r"conf/a.yaml: no such file; there is no folder 'conf' either"):
        load(["conf/a.yaml"])
    Path("conf").mkdir()
    write("conf/demo.yaml", "")
    with pytest.raises(SettingsError, match=r"demo.yaml: no such file; did you mean 'conf/demo.yaml'\?"):
        load(["demo.yaml"])


def test_names_of_other_programs_lead_to_settings() -> None:
    paths = {path.replace("[0]", ".*") for path, _ in schema.leaves()}
    assert {*schema.CALLED.values()} <= paths
    assert not {*schema.CALLED} & {path.rpartition(".")[2] for path in paths}, "the setting itself is nearer"


def test_the_stages_of_a_file_give_way_to_the_method_s_own() -> None:
    file = write("run.yaml", "stages: [{name: a, objective: grounding, duration: 3 steps}]")
    config = load([file], ["method.name=direct", "stages=[]", "training.duration=3 steps"])
    assert [stage.objective for stage in config.stages] == ["answer"]


def test_the_last_writer_of_a_value_is_blamed() -> None:
    first, second = write("first.yaml", "training: {devices: 2}"), write("second.yaml", "training: {devices: 65}")
    batch = write("batch.yaml", "training: {batch_size: 64}")
    with pytest.raises(SettingsError, match=r"^batch.yaml: training.batch_size = 64: must be at least nodes x devices"):
        load([first, second, batch])


def test_a_setting_that_was_replaced_is_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    """Files of older runs load without a word; who sets it by hand is told, once."""
    merge.tell_replaced.cache_clear()
    old = write("old.yaml", "training: {micro_batch_size: 32, batch_size: 64}\ndata: {workers: 0}")
    assert load([old]) == load([], ["training.batch_size=64", "data.workers=0"])
    assert capsys.readouterr().err == ""
    assert load([], ["training.micro_batch_size=4", "training.micro_batch_size=null"]) == load([], [])
    words = "note: training.micro_batch_size has no effect: training.tokens_per_pass took its place\n"
    assert capsys.readouterr().err == words


def test_saved_settings_are_read_back_equal() -> None:
    odd = ["run.name=1e4", 'data.question_end="\\n: "', "method.answer_cue= \\${x} yes ", "data.root=null"]
    config = load([write("run.yaml", STAGES)], [*odd, "training.weight_decay=1e-5"])
    config.method.step_separator = "\\\\${x} \\${y} ${z}\\"
    save(config, "saved.yaml")
    assert load(["saved.yaml"]) == config
    assert flat(config)["stages[0].name"] == "ground"


def test_differences_name_every_changed_setting_and_no_other() -> None:
    run = write("run.yaml", STAGES)
    a = load([run])
    b = load([run, write("one.yaml", "stages: [{name: ground, objective: grounding}]")], ["data.train=gsm8k/train"])
    assert differences(a, load([run])) == []
    assert differences(a, b) == [
        'data.train: "tracking/train" -> "gsm8k/train"',
        'stages[0].duration: "2 epochs" -> "1 epoch"',
        "stages[0].learning_rate: 0.001 -> 0.0001",
        'stages[1].name: "refine" -> (absent)',
        'stages[1].objective: "refinement" -> (absent)',
        'stages[1].duration: "1 epoch" -> (absent)',
        "stages[1].learning_rate: 0.0001 -> (absent)",
        'stages[1].warmup: "4%" -> (absent)',
        'stages[1].schedule: "constant" -> (absent)',
        "stages[1].dropout: null -> (absent)",
        "stages[1].reset_optimizer: true -> (absent)",
        "stages[1].replaced_steps: null -> (absent)",
    ]


HEAVY = "{'torch', 'transformers', 'lightning', 'datasets'} & {*sys.modules}"


def test_reading_settings_imports_nothing_heavy() -> None:
    script = f"import sys, rim.settings.load; rim.settings.load.load([]); print({HEAVY})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "set()"


def test_a_wrong_key_stops_a_run_before_anything_heavy_is_imported() -> None:
    given = ["--config", "conf/demo.yaml", "training.bach_size=3"]
    script = f"import sys, rim.fit as fit\ntry:\n    fit.main({given})\nfinally:\n    print({HEAVY})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (2, "set()\n")
    assert done.stderr.startswith(
        "error: override 'training.bach_size=3': training.bach_size = \"3\": there is no such"
    )
    assert "did you mean 'training.batch_size'" in done.stderr and "Traceback" not in done.stderr
