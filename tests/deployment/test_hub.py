"""What is pushed to a hub is loaded from there again, by the paths that models and data sets are really loaded by.

The libraries read HF_ENDPOINT at import, so a process of its own does each.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import HfApi
from huggingface_hub.errors import HTTPError

from rim.base.errors import UserError
from rim.base.hub import HubError
from rim.deployment.benchmarks import dataset_name, training_datasets, write_results
from rim.deployment.push import check_push, push
from rim.deployment.scored import Scored
from rim.report.proportion import Proportion
from tests.deployment.conftest import Trained
from tests.hub import Hub, running
from tests.training.test_contract import SHORT

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with running() as hub:
        yield hub


def with_hub(hub: Hub, folder: Path, *line: str) -> "subprocess.CompletedProcess[str]":
    """A command that reaches this hub, with an empty cache in `folder`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    places = {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder / "hf"), "PYTHONPATH": str(ROOT), "HF_TOKEN": "hf_x"}
    more = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "no_proxy": "127.0.0.1"}
    command = [sys.executable, *line]
    done = subprocess.run(
        command, env=environment | places | more, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    print(done.stdout, done.stderr, hub.unknown, sep="\n")
    return done


def test_a_pushed_model_is_a_backbone_by_its_name(trained: Trained, hub: Hub, tmp_path: Path) -> None:
    run = trained()
    line = ("-m", "rim.export", "--run", str(run), "--to", "model", "--push", "ann/rim", "--license", "mit")
    done = with_hub(hub, tmp_path, *line)
    assert done.returncode == 0 and f"pushed        {hub.address}/ann/rim" in done.stdout
    there = hub.files["models", "ann/rim"]
    here = {str(file.relative_to(tmp_path / "model")) for file in (tmp_path / "model").rglob("*") if file.is_file()}
    assert here - {".gitattributes"} == {*there} - {".gitattributes"} and "model.safetensors" in here
    card = yaml.safe_load(there["README.md"].decode().split("---\n")[1])
    (entry,) = card["model-index"][0]["results"]
    result = json.loads((run / "results" / "tracking-test.json").read_text())
    assert entry["metrics"][0]["value"] == result["final"]["accuracy"] and card["license"] == "mit"
    assert b'from_pretrained("ann/rim")' in there["README.md"]

    places = (f"run.folder={tmp_path}", f"data.cache={tmp_path}/cache", "evaluation.controls=[]")
    named = ("backbone.source=pretrained", "backbone.name=ann/rim", "backbone.lora.rank=4")
    done = with_hub(hub, tmp_path, "-m", "rim.fit", *SHORT, *places, *named)
    assert done.returncode == 0
    assert list((tmp_path / "hf").glob("hub/models--ann--rim/snapshots/*/model.safetensors"))


def test_a_published_data_set_is_read_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    rows = [{"question": f"{n} and 1?", "answer": f"It is <<{n}+1={n + 1}>>{n + 1}.\n#### {n + 1}"} for n in range(5)]
    lines = "\n".join(map(json.dumps, rows)).encode()
    card = b"---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train.jsonl\n---\n"
    hub.files["datasets", "openai/gsm8k"] = {"README.md": card, "main/train.jsonl": lines}
    commit = hub.commit(("datasets", "openai/gsm8k"))
    code = (
        "from rim.data.registry import parse_source; from rim.settings.load import load\n"
        f"config = load([], ['data.root=null', 'data.revisions=[openai/gsm8k@{commit}]']).data\n"
        "found = parse_source('gsm8k/train', config).read(config)\n"
        "print(len(found.examples), found.examples[3].answer, found.origin)"
    )
    done = with_hub(hub, tmp_path, "-c", code)
    assert done.returncode == 0
    assert done.stdout.strip().splitlines()[-1] == f"5 4 openai/gsm8k main train at {commit}"


def test_what_the_hub_refuses_is_kept(hub: Hub, tmp_path: Path) -> None:
    """A repository that may not be written to: here, one that cannot be made."""
    hub.locked.add("ann/locked")
    (tmp_path / "model").mkdir()
    code = "from pathlib import Path; from rim.deployment.push import push; push(Path('model'), 'ann/locked')"
    said = with_hub(hub, tmp_path, "-c", code).stderr.splitlines()[-1]
    assert said.startswith("rim.base.hub.HubError: model is exported, and its upload has failed (HfHubHTTPError: ")
    assert said.endswith("as one who may write to ann/locked, and repeat: hf upload ann/locked model .")
    assert (tmp_path / "model").exists()


@pytest.mark.parametrize(("error", "said"), [(HTTPError("timed out"), "HTTPError: timed out"), (OSError(), "OSError:")])
def test_a_hub_that_is_lost_on_the_way_is_told(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's own errors are none of the system's, and some have no text."""

    def lost(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(HfApi, "create_repo", lost)
    with pytest.raises(HubError, match=rf"model is exported, and its upload has failed \({said}\)\. Log in with"):
        push(Path("model"), "ann/rim")


@pytest.mark.parametrize("name", ["model", "ann/two/three", "ann/.."])
def test_a_name_that_the_hub_cannot_have_is_refused_first(name: str) -> None:
    with pytest.raises(UserError, match="--push takes the name of a model on the hub, OWNER/NAME"):
        check_push(name)
    with pytest.raises(UserError, match="the Hugging Face hub cannot be reached; export without --push"):
        check_push("ann/rim")


def test_whole_benchmarks_alone_are_entered_as_scores(tmp_path: Path) -> None:
    def scored(source: str, count: int) -> Scored:
        return Scored(source, tmp_path / "rows.jsonl", "integer", "best", Proportion(count // 4, count))

    write_results(tmp_path, [scored("gsm8k/test", 100), scored("svamp/test", 1000)])
    assert not (tmp_path / ".eval_results").exists()
    write_results(tmp_path, [scored("gsm8k/test", 1319), scored("svamp/test", 1000)])
    (entry,) = yaml.safe_load((tmp_path / ".eval_results" / "rim.yaml").read_text())
    assert entry["dataset"] == {"id": "openai/gsm8k", "task_id": "gsm8k"} and entry["value"] == 24.94
    assert training_datasets("gsm8k/train:1 + tracking/train:1") == ["openai/gsm8k"]
    assert (dataset_name("svamp"), dataset_name("tracking")) == ("ChilleD/SVAMP", "tracking")
