"""Memory tokens of each slot and block in real runs: what trains, what a run folder holds, and what is refused."""

import re
from pathlib import Path

import pytest
import torch

from rim import evaluate
from rim.backbone.backbone import BackboneError
from rim.base.errors import UserError
from rim.runs.folder import RunFolder
from rim.settings import Config
from rim.training.run import fit, prepare_run
from tests.runs import tiny
from tests.training.test_pretrained import embedding, pretrained, settings

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

OWN = "memory.tokens=per_slot_and_block"
SHORT = ("stages.0.duration=2 steps", "stages.1.duration=2 steps")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run whose blocks have tokens of their own: two of each of three blocks."""
    folder = tmp_path_factory.mktemp("slots")
    assert fit(tiny(folder, OWN, *SHORT)) == 0
    return folder / "run"


@pytest.mark.parametrize("shape", ["gpt2", "llama-untied"])
def test_adapters_train_the_rows_of_the_tokens_and_no_other(tmp_path: Path, shape: str) -> None:
    """The shared memory token has a row too; nothing reads it, so it does not train."""
    pretrained(tmp_path, shape)
    config = settings(tmp_path, shape, OWN)
    first = load_first(config)
    assert fit(config) == 0
    backbone, _ = RunFolder(tmp_path / f"run-{shape}").load_backbone()
    changed = (embedding(backbone) != embedding(first)).any(1).nonzero()[:, 0].tolist()
    special = backbone.special
    assert len(backbone.tokenizer) == 283 + 6 and special.own == tuple(range(283, 289))
    assert changed == [token for token in special.memory_tokens if token != special.memory]
    rows = embedding(first)[list(special.memory_tokens)]
    others = embedding(first)[:280]
    assert len(rows.unique(dim=0)) == 9 and (rows - others.mean(0)).abs().max() < 6 * others.std()


def load_first(config: Config) -> torch.nn.Module:
    """The model before its first update."""
    prepared = prepare_run(config)
    assert prepared.backbone.special.own
    return prepared.backbone.eval()


def test_a_run_folder_keeps_its_tokens_and_is_repeated_and_read(run: Path) -> None:
    tokenizer = RunFolder(run).load_backbone()[0].tokenizer
    names = [f"<|m{block}.{slot}|>" for block in (1, 2, 3) for slot in (1, 2)]
    assert tokenizer.convert_ids_to_tokens(range(len(tokenizer) - 6, len(tokenizer))) == names
    assert fit(tiny(run.parent, OWN, *SHORT)) == 0
    assert evaluate.main(["--run", str(run), "memory.blocks=2"]) == 0


def test_reading_with_more_blocks_than_have_tokens_is_refused(run: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        evaluate.main(["--run", str(run), "memory.blocks=16"])
    assert stopped.value.code == 2
    error = " ".join(capsys.readouterr().err.split())
    assert (
        "memory.tokens=per_slot_and_block needs a token for each of 2 slots (memory.tokens_per_block) in 16 blocks "
        "(the larger of memory.blocks and data.max_steps), and the tokenizer lacks <|m4.1|> to <|m16.2|>; with 3 "
        "blocks at most it would do."
    ) in error


def test_a_start_whose_vocabulary_lacks_the_tokens_is_refused(run: Path) -> None:
    start = f"backbone.start_from={run}"
    message = f"{start}: memory.tokens=per_slot needs a token for each of 2 slots (memory.tokens_per_block), and the "
    message += "tokenizer lacks <|m1|> to <|m2|>. A vocabulary is fixed when the first run of its weights starts, so "
    message += "that run needs the same memory.tokens"
    with pytest.raises(BackboneError, match=re.escape(message)):
        prepare_run(tiny(run.parent, "run.name=other", start, "memory.tokens=per_slot"))
    with pytest.raises(UserError, match=r"lacks <\|m4\.1\|> to <\|m5\.2\|>; with 3 blocks at most it would do"):
        prepare_run(tiny(run.parent, "run.name=more", start, OWN, "memory.blocks=5"))
    assert not (run.parent / "other").exists() and not (run.parent / "more").exists()


@pytest.mark.parametrize("tokens", ["shared", "per_slot_and_block"])
def test_a_run_starts_from_one_that_has_its_tokens(run: Path, tokens: str) -> None:
    """Tokens that it does not read stay in its vocabulary, and are never written."""
    line = (f"run.name={tokens}", f"backbone.start_from={run}", f"memory.tokens={tokens}")
    prepared = prepare_run(tiny(run.parent, *line))
    theirs = RunFolder(run).load_backbone()[0]
    assert prepared.backbone.tokenizer.get_vocab() == theirs.tokenizer.get_vocab()
    assert prepared.backbone.special == theirs.special
    assert torch.equal(embedding(prepared.backbone), embedding(theirs))
