"""An export answers as its run does, in a process that has none of our code; what is refused leaves nothing behind."""

import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tokenizers.pre_tokenizers import Metaspace
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from rim import export as verb
from rim.backbone.tokenizer import add_memory_tokens
from rim.base.errors import UserError
from rim.data.tokens import tokenise_question
from rim.deployment import check
from rim.deployment import export as exporting
from rim.deployment.check import ODD, Expected, rendered
from rim.deployment.encode import encoded
from rim.deployment.export import Wanted, export
from rim.deployment.model import load as load_run
from rim.deployment.prompt import PROBE, prompt_text
from rim.deployment.template import chat_template, special_tokens
from rim.evaluation.predictions import read_jsonl
from rim.methods.registry import build_method
from rim.settings.load import load
from tests.data.tokenizers import metaspace
from tests.deployment.conftest import Trained
from tests.training.test_contract import SHORT

EXPORTED = {
    "rim": ("memory_blocks",),
    "direct": ("direct",),
    "llama, a cue": ("memory_blocks", "backbone.scratch.shape=llama", "method.answer_cue=So: "),
    "qwen, untied, after the last block": (
        *("memory_blocks", "backbone.scratch.shape=qwen", "backbone.scratch.tied=false"),
        "memory.readout_position=after_last_block",
    ),
    "before the question": ("memory_blocks, before the question",),
    "tokens of their own": ("memory_blocks, tokens of their own",),
    "repeat": ("repeat", "method.repeats=3"),
    "cot": ("cot",),
    "pause": ("pause", "memory.tokens=per_slot"),
    "pause curriculum": ("pause_curriculum",),
    "icot": ("icot",),
}
OUTSIDE = """
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
for line in sys.stdin:
    folder, questions = json.loads(line)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    chats = [[{"role": "user", "content": question}] for question in questions]
    more = {"return_tensors": "pt", "return_dict": True, "padding": True, "add_generation_prompt": True}
    inputs = tokenizer.apply_chat_template(chats, **more)
    tokens = model.generate(**inputs)[:, inputs["input_ids"].shape[1]:]
    assert not any(name == "rim" or name.startswith("rim.") for name in sys.modules)
    print(json.dumps(tokenizer.batch_decode(tokens, skip_special_tokens=True)), flush=True)
"""
Outside = Callable[[Path, list[str]], list[str]]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Gives the answers of transformers alone to questions in one batch, padded on the left."""
    log = tmp_path_factory.mktemp("outside") / "errors"
    line, pipes = [sys.executable, "-I", "-c", OUTSIDE], {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with log.open("w") as errors, subprocess.Popen(line, stderr=errors, text=True, **pipes) as process:

        def ask(folder: Path, questions: list[str]) -> list[str]:
            print(json.dumps([str(folder), questions]), file=process.stdin, flush=True)
            answers = process.stdout.readline()
            assert answers, log.read_text()
            return json.loads(answers)

        yield ask


@pytest.mark.parametrize("name", EXPORTED)
def test_an_export_answers_as_its_run(name: str, trained: Trained, outside: Outside, tmp_path: Path) -> None:
    run = trained(*EXPORTED[name])
    outcome = export(run, tmp_path / "model", Wanted())
    odd = len(ODD) - (name == "repeat")  # one begins with a space
    assert (outcome.equal, outcome.questions, outcome.prompts) == (8, 8, 8 + odd)
    rows = read_jsonl(run / "results" / "tracking-test.jsonl")
    texts = [(row.texts or row.answers)[-1] for row in rows]
    assert [text.strip() for text in outside(tmp_path / "model", [row.question for row in rows])] == [
        text.strip() for text in texts
    ]


def test_an_adapted_pretrained_model_is_merged(adapted: Path, tmp_path: Path) -> None:
    """LoRA on a folder with a template, a sampling configuration and a beginning-of-text token of its own."""
    half = load_run(adapted).config.backbone.dtype == "bf16"
    base = {file: file.read_bytes() for file in (adapted.parent / "base").iterdir()}
    outcome = export(adapted, tmp_path / "model", Wanted())
    assert {file: file.read_bytes() for file in (adapted.parent / "base").iterdir()} == base, "it is only read"
    assert outcome.questions == 8 and (half or outcome.equal == 8)
    settings = GenerationConfig.from_pretrained(tmp_path / "model")
    assert (settings.top_k, settings.temperature, settings.repetition_penalty) == (1, None, None)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    ids = rendered(tokenizer, "Who?")
    assert ids.count(tokenizer.bos_token_id) == 1 and ids[0] == tokenizer.bos_token_id
    plain, run = AutoModelForCausalLM.from_pretrained(tmp_path / "model"), load_run(adapted)
    ids_1N = torch.tensor([ids])
    with torch.no_grad():
        merged, there = plain(ids_1N).logits, run.backbone.model(input_ids=ids_1N, use_cache=False).logits
    torch.testing.assert_close(merged, there.float(), rtol=0, atol=5e-2 if half else 1e-4)


def test_bf16_is_exported_with_its_share_of_equal_answers(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--run", str(trained()), "--to", str(tmp_path / "half"), "--dtype", "bf16", "--license", "mit"]
    assert verb.main(line) == 0
    facts = json.loads((tmp_path / "half" / "rim.json").read_text())
    shown = capsys.readouterr().out
    assert f"{facts['check']['equal']} of 8 answers are the run's token by token" in shown
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "half").dtype == torch.bfloat16
    card = (tmp_path / "half" / "README.md").read_text()
    assert "license: mit" in card and "It takes transformers 5 or newer" in card
    assert "The run was scored in fp32; these weights are bf16, and some answers may differ." in card


def test_a_question_has_one_answer_where_several_tokens_are_likeliest(trained: Trained, tmp_path: Path) -> None:
    """As in bf16, where equal logits are common: here all of them are."""
    export(trained(), tmp_path / "model", Wanted())
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path / "model"), load_run(trained()).backbone.tokenizer
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()
    ids_BN = torch.tensor([[tokenizer.eos_token_id + 9]] * 8)
    tokens_BN = model.generate(ids_BN, attention_mask=torch.ones_like(ids_BN))
    assert (tokens_BN == tokens_BN[0]).all()


def test_the_template_writes_blocks_always_and_refuses_what_it_cannot_say(trained: Trained, tmp_path: Path) -> None:
    run = trained()
    export(run, tmp_path / "model", Wanted())
    tokenizer, model = AutoTokenizer.from_pretrained(tmp_path / "model"), load_run(run)

    def ids(*messages: Any, **more: Any) -> list[int]:
        return tokenizer.apply_chat_template(list(messages), return_dict=False, **more)

    question = {"role": "user", "content": "Ann has the ball. Who?"}
    whole = ids(question, add_generation_prompt=True)
    assert whole == ids(question) == ids({"role": "user", "content": [{"type": "text", "text": question["content"]}]})
    for blocks in (1, 2, 3):
        prompt = model.prompt(question["content"], blocks)
        there = [int(token) for node in prompt.trunk.nodes for token in node.ids]
        assert ids(question, blocks=blocks) == there
    answered = ids(question, {"role": "assistant", "content": "Bob"})
    assert answered[: len(whole)] == whole and answered[-1] == tokenizer.eos_token_id
    for messages in (
        [{"role": "system", "content": "Be brief."}, question],
        [question, {"role": "assistant", "content": "Bob"}, question],
    ):
        with pytest.raises(Exception, match="answers one question: send a single user message and no system message"):
            ids(*messages)
    for token in special_tokens(tokenizer):  # the run reads it as ordinary text, which a template cannot write
        with pytest.raises(Exception, match=re.escape(f"the question spells the special token {token}")):
            ids({"role": "user", "content": f"Who {token}?"})


def test_questions_that_spell_a_special_token_are_no_part_of_check_and_card(trained: Trained, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained(), run)
    first, *more = (json.loads(row) for row in (run / "results" / "tracking-test.jsonl").read_text().splitlines())
    rows = [{**first, "question": "Who <|m|>?"}, *more]
    (run / "results" / "tracking-test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert export(run, tmp_path / "model", Wanted()).questions == 7
    card = (tmp_path / "model" / "README.md").read_text()
    assert repr(more[0]["question"]) in card and "<|m|>" not in card


def test_a_cue_behind_a_tokenizer_that_writes_a_space_first_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone the cue begins with a space of its own, behind a block it does not: a text cannot say it (Llama 2)."""
    config, tokenizer = load([], [*SHORT, "memory.blocks=2", "method.answer_cue=a"]), metaspace()
    tokenizer.backend_tokenizer.pre_tokenizer = Metaspace(prepend_scheme="first")
    add_memory_tokens(tokenizer)
    method = build_method(config, tokenizer)
    prompt = prompt_text(method, config, tokenizer, 2)
    tokenizer.chat_template = chat_template(prompt, tokenizer)
    monkeypatch.setattr(check, "load_model", lambda _: (None, tokenizer))
    final = method.prompt(encoded(PROBE, tokenise_question(PROBE, tokenizer, config.data)), None, 2).final
    ids = [*final.trunk.flat.ids_N.tolist(), *final.cue]
    with pytest.raises(
        UserError, match=r"does not split text at special tokens as the run does; with method\.answer_cue"
    ):
        check.check_export(Path(), [Expected(PROBE, ids, None)], [])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("looped",), "method.name=looped cannot be exported: its blocks are read several times"),
        (("coconut",), "method.name=coconut cannot be exported: its thoughts are states that are fed back"),
        (("codi",), "method.name=codi cannot be exported"),
        (("memory_blocks, inserted",), "memory.insertion_layer=1 cannot be exported: blocks have no states below"),
        (("memory_blocks, at ends of sentences",), "memory.placement=sentence_ends cannot be exported"),
        (
            ("memory_blocks", "memory.readout_sees_question=false"),
            "memory.readout_sees_question=false cannot be exported: answers must not attend to the question, and an "
            "engine's attention is causal. Train with memory.readout_sees_question=true",
        ),
    ],
)
def test_what_an_engine_cannot_run_is_refused(
    settings: tuple[str, ...], said: str, trained: Trained, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as error:
        export(trained(*settings), tmp_path / "model", Wanted())
    assert said in str(error.value) and "See docs/export.md" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(UserError, match="model exists: name a new folder with --to, or remove it"):
        export(trained(), tmp_path / "model", Wanted())


def test_an_export_that_differs_is_not_kept(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = exporting.write_model

    def broken(backbone: Any, template: str, *more: Any) -> None:
        written(backbone, template.replace("<|/b|>", "<|b|>"), *more)

    monkeypatch.setattr(exporting, "write_model", broken)
    with pytest.raises(UserError, match="the chat template gives other tokens than the run for"):
        export(trained(), tmp_path / "model", Wanted())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(trained: Trained, tmp_path: Path) -> None:
    """Files may have 40,000 bytes, and the weights take more; the run stays as it was."""
    run = trained()
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"could not be written: .*too large.*; nothing was left behind"):
            export(run, tmp_path / "model", Wanted())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_a_run_that_has_not_ended_is_exported_by_its_best_checkpoint(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained(), tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "results")
    (tmp_path / "run" / "result.json").unlink()
    best = json.loads((tmp_path / "run" / "selection.json").read_text())["final"]
    for named, name in ((None, best), ("grounding-last", "grounding-last")):
        export(tmp_path / "run", tmp_path / name, Wanted(checkpoint=named))
        facts = json.loads((tmp_path / name / "rim.json").read_text())
        assert (facts["checkpoint"]["name"], facts["finished"]) == (name, False)
        assert f"(checkpoint {name} of a run that has not ended)" in capsys.readouterr().out
        assert "has not been scored on a test set" in (tmp_path / name / "README.md").read_text()


def test_scores_with_another_number_of_blocks_are_not_those_of_the_export(trained: Trained, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained(), run)
    scores = run / "results" / "tracking-test.json"
    scores.write_text(json.dumps(json.loads(scores.read_text()) | {"blocks": 1}))  # as `memory.blocks=1` leaves them
    for blocks, stand in ((None, False), (1, True)):
        export(run, tmp_path / f"scored {blocks}", Wanted(blocks=blocks))
        assert ("model-index" in (tmp_path / f"scored {blocks}" / "README.md").read_text()) == stand
    export(trained(), tmp_path / "model", Wanted(blocks=2))
    card = (tmp_path / "model" / "README.md").read_text()
    assert "2 memory blocks among it" in card and "has not been scored on a test set" in card
    assert "model-index" not in card
    with pytest.raises(UserError, match="blocks=2: method cot has no blocks"):
        export(trained("cot"), tmp_path / "chain", Wanted(blocks=2))


def test_card_and_tasks_carry_the_scores_of_the_run(trained: Trained, tmp_path: Path) -> None:
    run = trained("cot")
    export(run, tmp_path / "model", Wanted(base_model="owner/base"))
    result = json.loads((run / "results" / "tracking-test.json").read_text())
    _, head, body = (tmp_path / "model" / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(head)
    (entry,) = card["model-index"][0]["results"]
    assert entry["metrics"][0]["value"] == result["final"]["correct"] / 8 and card["base_model"] == "owner/base"
    assert "license" not in card and "what follows the last `####`" in body and "weights are" not in body
    task = yaml.safe_load((tmp_path / "model" / "lm_eval" / "tracking-test.yaml").read_text())
    assert task["task"] == "rim_tracking_test" and task["filter_list"][0]["filter"][0]["function"] == "regex"
    rows = (tmp_path / "model" / "lm_eval" / "tracking-test.jsonl").read_text().splitlines()
    assert [json.loads(row)["answer"] for row in rows] == [
        row.gold for row in read_jsonl(run / "results" / "tracking-test.jsonl")
    ]
