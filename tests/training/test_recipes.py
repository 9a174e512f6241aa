"""Every recipe of `conf/models` is planned on a random model of its architecture and a tokenizer of its shape."""

from pathlib import Path

import pytest

from rim.backbone.tokenizer import build_tokenizer
from rim.base.vocabulary import taken
from rim.settings.load import load
from rim.training.run import prepare_run, run_self_check
from tests.data.chats import CHATS
from tests.families import family_model
from tests.models import TEXTS
from tests.runs import TINY

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "conf" / "models").glob("*.yaml"))
DATA = [setting for setting in TINY if setting.startswith(("data.", "evaluation.", "training.threads"))]
SPARE = [f"<unused{number}>" for number in range(3)]
SHAPES = {
    "gpt2": ("gpt2", lambda: build_tokenizer(TEXTS, 280), (), 0),
    "llama_3_2_1b": ("llama", CHATS["llama 3"], [f"<|reserved_special_token_{n}|>" for n in range(4)], 0),
    "qwen3_0_6b": ("qwen3", CHATS["smollm2"], (), 7),
    "gemma_3_270m": ("gemma3_text", CHATS["gemma"], SPARE, 0),
    "smollm2": ("llama", CHATS["smollm2"], ("<repo_name>", "<reponame>", "<file_sep>"), 0),
}
"""Family, tokenizer, spare tokens, and rows of the embedding that no token has."""


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft asks for it
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_plans_on_its_architecture(file: Path, tmp_path: Path) -> None:
    family, made, spare, rows = SHAPES[file.stem]
    tokenizer = made()
    tokenizer.add_tokens(list(spare), special_tokens=True)
    model = family_model(family, vocab_size=len(tokenizer) + rows, max_position_embeddings=512, n_positions=512)
    tokenizer.save_pretrained(tmp_path / "base")
    model.save_pretrained(tmp_path / "base")
    own = [f"backbone.name={tmp_path / 'base'}", f"run.folder={tmp_path}", f"data.cache={tmp_path}/cache"]
    given = ["training.accelerator=cpu", "data.train=tracking/train", "data.validation=tracking/validation"]
    config = load([ROOT / "conf" / "gsm8k.yaml", file], [*DATA, *given, "data.test=[tracking/test]", *own])
    prepared = prepare_run(config)
    run_self_check(prepared)
    assert [plan.stage.name for plan in prepared.plan.stages] == ["grounding", "refinement"]
    assert list(taken(prepared.backbone.tokenizer).values()) == list(spare)[:3]
    embedding = prepared.backbone.causal.get_input_embeddings().weight
    assert (len(embedding) == len(tokenizer) + rows) == (config.memory.token_source == "reserved")
    begins = prepared.splits.train[0].question[0] == tokenizer.bos_token_id
    assert begins == (family in ("gemma3_text",) or file.stem == "llama_3_2_1b")
    text = file.read_text(encoding="utf-8")
    assert f"python -m rim.fit --config conf/gsm8k.yaml conf/models/{file.name}\n" in text
    assert all(word in text for word in ("# Hardware:", "# Expected:"))
