"""GGUF: the converter is found, called with the rule of the tokenizer, and its file is compared; the rest is refused.

The converter here is a stand-in; `make test-engines` runs llama.cpp's own.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import AutoTokenizer

from rim import export as verb
from rim.base.errors import UserError
from rim.deployment.check import ODD
from rim.deployment.export import Wanted, export
from rim.deployment.gguf import find_converter, split_rule
from tests.deployment.conftest import Trained

BASE = "class TextModel:\n    def get_vocab_base_pre(self, tokenizer):\n        raise NotImplementedError('unknown')\n"
CONVERTER = """
import json, sys
from pathlib import Path
from conversion.base import TextModel
model, _, file, _, kind = sys.argv[1:]
found = [TextModel().get_vocab_base_pre(None), kind, (Path(model) / "config.json").exists(), Path(model).name]
Path(file).write_text(json.dumps(found))
"""


@pytest.fixture
def converter(tmp_path: Path) -> Path:
    """A folder with a converter as llama.cpp has one."""
    (tmp_path / "llama.cpp" / "conversion").mkdir(parents=True)
    (tmp_path / "llama.cpp" / "conversion" / "base.py").write_text(BASE)
    (tmp_path / "llama.cpp" / "convert_hf_to_gguf.py").write_text(CONVERTER)
    return tmp_path / "llama.cpp"


def test_the_converter_is_told_the_rule_of_the_tokenizer(
    trained: Trained, converter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("RIM_LLAMA_CPP", str(converter))
    assert verb.main(["--run", str(trained()), "--to", str(tmp_path / "model"), "--gguf"]) == 0
    assert json.loads((tmp_path / "model" / "model-f32.gguf").read_text()) == ["smollm", "f32", True, "model"]
    assert "token ids were NOT compared: that takes pip install llama-cpp-python" in capsys.readouterr().out
    assert json.loads((tmp_path / "model" / "rim.json").read_text())["gguf"]["prompts"] is None


@pytest.mark.parametrize("shift", [0, 1])
def test_token_ids_are_compared_where_llama_cpp_is_installed(
    shift: int, trained: Trained, converter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained() / "tokenizer")

    def tokenize(text: bytes, add_bos: bool, special: bool) -> list[int]:
        ids: Any = tokenizer(text.decode(), add_special_tokens=add_bos)["input_ids"]
        return [id + shift for id in ids]

    module = SimpleNamespace(Llama=lambda *_, **__: SimpleNamespace(tokenize=tokenize), __spec__=object())
    monkeypatch.setitem(sys.modules, "llama_cpp", module)
    wanted = Wanted(gguf=str(converter / "convert_hf_to_gguf.py"))
    if shift:
        with pytest.raises(UserError, match=r"llama.cpp reads .* tokens that differ from the run's"):
            export(trained(), tmp_path / "model", wanted)
        assert not (tmp_path / "model").exists()
    else:
        export(trained(), tmp_path / "model", wanted)
        assert json.loads((tmp_path / "model" / "rim.json").read_text())["gguf"]["prompts"] == 8 + len(ODD)


def test_a_converter_that_is_missing_or_fails_is_told(
    trained: Trained, converter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RIM_LLAMA_CPP", raising=False)
    with pytest.raises(
        UserError, match=r"neither --gguf CONVERTER nor RIM_LLAMA_CPP names it\. It lies in llama\.cpp's"
    ):
        find_converter("")
    with pytest.raises(
        UserError, match=r"nowhere is none\. It lies in llama\.cpp's source, and under vendor/llama.cpp"
    ):
        find_converter("nowhere")
    (converter / "convert_hf_to_gguf.py").write_text("raise SystemExit('Model X is not supported')")
    with pytest.raises(UserError, match="could not convert the export: Model X is not supported"):
        export(trained(), tmp_path / "model", Wanted(gguf=str(converter)))
    assert not (tmp_path / "model").exists()


def test_only_tokenizers_from_scratch_need_a_rule(trained: Trained) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained() / "tokenizer")
    assert split_rule(tokenizer) == "smollm"
    tokenizer.backend_tokenizer.pre_tokenizer = None
    assert split_rule(tokenizer) == ""
