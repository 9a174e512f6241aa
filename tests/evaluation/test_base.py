"""The untouched base model: what it is asked, what is read of its reply, and that its answers are transformers' own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rim import evaluate
from rim.backbone.tokenizer import add_memory_tokens
from rim.data.example import Example
from rim.data.prepare import training_texts
from rim.data.store import EncodedExample
from rim.evaluation.base_prompt import WANTED, BaseModel, Way
from rim.evaluation.predictions import read_jsonl
from rim.runs.folder import RunFolder
from rim.settings import Config, Data
from rim.settings.load import load
from tests.data.chats import CHATS
from tests.data.tokenizers import byte_level
from tests.deployment.conftest import write_base
from tests.runs import TINY

SOLVED = (Example("a/train/0", "1 and 1?", ("<<1+1=2>>",), "2"), Example("a/train/1", "2 and 2?", ("<<2+2=4>>",), "4"))
DIRECT, CHAIN = Way(False, ()), Way(True, ())
DIRECT_2, CHAIN_2 = Way(False, SOLVED), Way(True, SOLVED)


@pytest.mark.parametrize(
    ("way", "text"),
    [
        (DIRECT, "Question: 3?\nAnswer:"),
        (CHAIN, "Question: 3?\nAnswer: Let's think step by step."),
        (
            DIRECT_2,
            "Question: 1 and 1?\nAnswer: 2\n\nQuestion: 2 and 2?\nAnswer: 4\n\nQuestion: 3?\nAnswer:",
        ),
        (
            CHAIN_2,
            "Question: 1 and 1?\nAnswer: <<1+1=2>>\n#### 2\n\nQuestion: 2 and 2?\nAnswer: <<2+2=4>>\n#### 4\n\n"
            "Question: 3?\nAnswer:",
        ),
    ],
)
def test_a_text_that_is_continued(way: Way, text: str) -> None:
    frame = way.frame(Data(template="plain"), chatting())  # the template of the tokenizer has no part in it
    assert frame.before + "3?" + frame.after == text


def chatting() -> Any:
    """A tokenizer whose chat template writes role and text, line by line."""
    tokenizer = byte_level()
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    return tokenizer


def test_a_chat_has_solved_examples_as_turns_after_the_system_message_of_the_run() -> None:
    frame = CHAIN_2.frame(Data(template="chat", system="Be exact."), chatting())
    assert frame.before + "3?" + frame.after == (
        f"system: Be exact.\nuser: 1 and 1?\n{WANTED[True]}\nassistant: <<1+1=2>>\n#### 2\n"
        f"user: 2 and 2?\n{WANTED[True]}\nassistant: <<2+2=4>>\n#### 4\nuser: 3?\n{WANTED[True]}\nassistant:"
    )
    frame = DIRECT_2.frame(Data(template="chat"), chatting())
    assert "assistant: The answer is 2\n" in frame.before
    assert frame.after == f"\n{WANTED[False]}\nassistant:The answer is"
    frame = DIRECT.frame(Data(template="chat"), chatting())
    assert frame.before == "user: " and frame.after == f"\n{WANTED[False]}\nassistant:The answer is"
    assert [way.name for way in (DIRECT, CHAIN_2)] == ["direct-0-shot", "cot-2-shot"]


@pytest.mark.parametrize("shape", ["smollm2", "llama 3", "gemma"])
@pytest.mark.parametrize("way", [DIRECT, CHAIN_2], ids=["direct", "cot-2-shot"])
def test_a_chat_has_the_tokens_of_the_template_as_the_tokenizer_itself_reads_it(shape: str, way: Way) -> None:
    tokenizer = CHATS[shape]()
    wish = WANTED[way.chain]
    turns: list[dict[str, str]] = []
    for question, steps, answer in [(each.question, each.steps, each.answer) for each in way.solved]:
        turns += [{"role": "user", "content": f"{question}\n{wish}"}]
        turns += [{"role": "assistant", "content": "\n".join([*steps, f"#### {answer}"])}]
    turns += [{"role": "user", "content": f"Ann has 3?\n{wish}"}]
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    literal = tokenizer(text + ("" if way.chain else "The answer is"), add_special_tokens=False)["input_ids"]
    assert asked(BaseModel(Config(data=Data(template="chat")), tokenizer, way), "Ann has 3?") == literal


def test_a_text_begins_with_the_token_that_the_run_puts_there() -> None:
    tokenizer = CHATS["llama 3"]()
    text = tokenizer("Question: Ann?\nAnswer:", add_special_tokens=False)["input_ids"]
    for bos, begin in (("auto", [tokenizer.bos_token_id]), ("never", [])):
        assert asked(BaseModel(Config(data=Data(bos=bos)), tokenizer, DIRECT), "Ann?") == begin + text


def asked(method: BaseModel, question: str) -> list[int]:
    """The token ids of a prompt."""
    none = np.array([], dtype=np.int32)
    (node,) = method.prompt(EncodedExample("a", none, (), none, "", question)).trunk.nodes
    return list(node.ids)


@pytest.mark.parametrize(
    ("way", "chats", "written", "part", "answer"),
    [
        (DIRECT, False, " 7\nSo 8.\n\nQuestion: x", "7", "7"),
        (CHAIN, False, " 3+4=7.\nIt is 7.\n\nQuestion: y\nAnswer: 9", "3+4=7.\nIt is 7.", "3+4=7.\nIt is 7."),
        (CHAIN_2, False, " <<3+4=7>>\n#### 7\n\nQuestion: y\n#### 9", "<<3+4=7>>\n#### 7", "7"),
        (CHAIN, True, "So\n#### 7\nand\n#### 8", "So\n#### 7\nand\n#### 8", "7"),
        (DIRECT, True, " 7.\nIt is so", "7.", "7."),
    ],
)
def test_a_reply_is_what_was_written_before_the_next_question(
    way: Way, chats: bool, written: str, part: str, answer: str
) -> None:
    config = Config(data=Data(template="chat" if chats else "plain"))
    method = BaseModel(config, chatting(), way)
    assert (method.own_part(written), method.answer_in(method.own_part(written))) == (part, answer)


@pytest.fixture(params=["chat", "plain"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bool]:
    """The folder of a run on a tiny instruct model, which has trained nothing yet; and whether it asks in chats."""
    tiny = [word for word in TINY if not word.startswith(("backbone", "evaluation.max", "stages"))]
    base = ["backbone.source=pretrained", f"backbone.name={tmp_path}/base", "backbone.lora.rank=4", "data.test_rows=6"]
    base += [f"data.template={request.param}"]
    config = load([], [*tiny, *base, f"run.folder={tmp_path}", f"data.cache={tmp_path}/cache"])
    write_base(tmp_path / "base", list(training_texts(config.data)))
    shape = tmp_path / "base" / "config.json"
    shape.write_text(json.dumps(json.loads(shape.read_text()) | {"max_position_embeddings": 800}))
    folder = RunFolder(tmp_path / "run")
    folder.begin(config, {})
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    add_memory_tokens(tokenizer)
    tokenizer.save_pretrained(folder.path / "tokenizer")
    return folder.path, request.param == "chat"


def literally(folder: Path, way: Way, question: str, chats: bool, tokens: int) -> str:
    """What transformers generates with the base model's own files, greedily."""
    tokenizer = AutoTokenizer.from_pretrained(folder.parent / "base")
    model = AutoModelForCausalLM.from_pretrained(folder.parent / "base")
    if chats:
        turns = [{"role": "user", "content": f"{question}\n{WANTED[way.chain]}"}]
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        text += "" if way.chain else "The answer is"
        ids = tokenizer(text)["input_ids"]  # after the family's first token, which this template leaves out
    else:
        think = " Let's think step by step." if way.chain else ""
        ids = tokenizer(f"Question: {question}\nAnswer:{think}")["input_ids"]
    plain: dict[str, Any] = {"do_sample": False, "repetition_penalty": 1.0, "temperature": None, "top_p": None}
    plain["eos_token_id"] = tokenizer.eos_token_id
    with torch.no_grad():
        made = model.generate(torch.tensor([ids]), max_new_tokens=tokens, **plain)
    return tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True)


def test_answers_are_those_of_the_model_as_it_was_published(
    run: tuple[Path, bool], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, chats = run
    line = ["--run", str(folder), "--base", "1", "evaluation.max_new_tokens=8"]
    assert evaluate.main(line) == 0
    printed = capsys.readouterr().out
    assert all(f"| base, {way} " in printed for way in ("direct-0-shot", "direct-1-shot", "cot-0-shot", "cot-1-shot"))
    for way in (DIRECT, CHAIN):
        facts = json.loads((folder / "results" / "base" / way.name / "tracking-test.json").read_text())
        assert (facts["way"], facts["solved"], facts["examples"], facts["controls"]) == (way.name, [], 6, {})
        assert facts["template"] == ("chat" if chats else "plain") and facts["system"] is None
        config = Config(data=Data(template="chat" if chats else "plain"))
        method = BaseModel(config, AutoTokenizer.from_pretrained(folder.parent / "base"), way)
        for row in read_jsonl(folder / "results" / "base" / way.name / "tracking-test.jsonl")[:3]:
            written = literally(folder, way, row.question, chats, 8)
            assert row.answers == (method.answer_in(method.own_part(written)),)
    solved = json.loads((folder / "results" / "base" / "cot-1-shot" / "tracking-test.json").read_text())["solved"]
    assert len(solved) == 1 and solved[0].startswith("tracking/train/")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--base=-1"], "--base -1: a number of solved examples is 0 or more"),
        (["--base", "1000"], "--base 1000: tracking/train has"),
        (["--base", "--checkpoint", "x"], "--base takes no --checkpoint"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    run: tuple[Path, bool], given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        evaluate.main(["--run", str(run[0]), *given])
    assert said in capsys.readouterr().err


def test_a_run_from_scratch_has_no_base_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RunFolder(tmp_path / "run").begin(load([], [*TINY, f"run.folder={tmp_path}"]), {})
    with pytest.raises(SystemExit):
        evaluate.main(["--run", str(tmp_path / "run"), "--base"])
    assert "run has no base model: with backbone.source=scratch its weights began at random" in capsys.readouterr().err
