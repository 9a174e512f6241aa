"""Export a run: prompt, weights, self-check, card; first in a scrap folder, which is renamed when all is right."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from rim.backbone.decode import Prompt
from rim.base.files import write_json
from rim.deployment.benchmarks import write_results
from rim.deployment.card import write_card
from rim.deployment.check import ODD, Expected, Outcome, check_export
from rim.deployment.errors import ExportError
from rim.deployment.folder import write_model
from rim.deployment.gguf import TYPES, find_converter, write_gguf
from rim.deployment.harness import write_tasks
from rim.deployment.model import Model, load
from rim.deployment.prompt import PROBE, PromptText, prompt_text
from rim.deployment.push import check_push, push
from rim.deployment.scored import Scored, questions, scored
from rim.deployment.template import chat_template, special_tokens
from rim.runs.environment import describe

QUESTIONS = 32
"""Most questions of the run that the self-check asks."""


@dataclass(frozen=True)
class Wanted:
    """What an export is asked for: checkpoint, type of the weights, number of blocks, facts of the card, llama.cpp's
    converter (None: no GGUF; empty: the environment's), and the name under which it is pushed to the hub.
    """

    checkpoint: str | None = None
    dtype: str = "fp32"
    blocks: int | None = None
    license: str | None = None
    base_model: str | None = None
    gguf: str | None = None
    push: str | None = None


def export(run: Path, to: Path, wanted: Wanted) -> Outcome:
    """Write the folder, or leave nothing behind; the run is only read.

    Raises:
        AskError: blocks are named that cannot be.
        ExportError: the run cannot be exported, `to` exists, or the folder does not answer as the run does (in fp32
            token by token; where weights are bf16, the share of equal answers is printed and stands in the card).
        RunError, CheckpointError: there is no such run or checkpoint.
        HubError: it cannot be pushed, or the hub refused; the folder is kept then.
    """
    if to.exists():
        raise ExportError(f"{to} exists: name a new folder with --to, or remove it")
    converter = None if wanted.gguf is None else find_converter(wanted.gguf)
    if wanted.push:
        check_push(wanted.push)
    model = load(run, wanted.checkpoint, device="cpu")
    model.prompt(PROBE, wanted.blocks)  # refuses a number of blocks that cannot be
    blocks = model.config.memory.blocks if wanted.blocks is None else wanted.blocks
    prompt = prompt_text(model.evaluator.method, model.config, model.backbone.tokenizer, blocks)
    sets = scored(model.folder)
    standing = [each for each in sets if _is_of(each, model, blocks)]
    expected = list(_expected(model, sets, prompt, blocks if prompt.choice else None))
    template = chat_template(prompt, model.backbone.tokenizer)
    with _whole_or_nothing(to) as scrap:
        write_model(model.backbone, template, model.evaluator.max_new_tokens(), wanted.dtype, scrap)
        outcome = check_export(scrap, expected, model.backbone.special.memory_tokens)
        if wanted.dtype == model.config.backbone.dtype == "fp32" and outcome.first_difference:
            raise ExportError(f"the export differs from its run, and nothing was kept: {outcome.first_difference}")
        facts = _facts(run, model, prompt, wanted, outcome)
        if converter is not None:
            file = scrap / f"{to.name}-{TYPES[wanted.dtype]}.gguf"
            facts["gguf"] = {"file": file.name, "prompts": write_gguf(scrap, converter, wanted.dtype, file, expected)}
        write_json(scrap / "rim.json", facts)
        write_tasks(scrap / "lm_eval", model, sets)
        write_card(scrap / "README.md", wanted.push or to.name, model, facts, standing, expected[0].question)
        write_results(scrap, standing)
    print("\n".join(_report(to, model, outcome, facts)))
    if wanted.push:
        print(f"pushed        {push(to, wanted.push)}")
    return outcome


def _is_of(scored: Scored, model: Model, blocks: int) -> bool:
    """Whether a score is that of this checkpoint, read with this number of blocks."""
    read = model.config.memory.blocks if scored.blocks is None else scored.blocks
    return (scored.checkpoint, read) == (model.about["name"], blocks)


def _expected(model: Model, sets: Sequence[Scored], prompt: PromptText, blocks: int | None) -> Iterator[Expected]:
    """Prompts and answers of the run, for questions that it has answered before, and prompts of odd spellings."""
    special = special_tokens(model.backbone.tokenizer)
    plain = [text for text in questions(sets, QUESTIONS) if not any(token in text for token in special)]
    asked = [*filter(prompt.accepts, plain)]
    for question in asked or [PROBE]:
        final = model.prompt(question, blocks)
        ((tokens,),) = model.evaluator.tokens(model.backbone, [final])
        yield Expected(question, _ids(final), tokens)
    for question in filter(prompt.accepts, ODD):
        yield Expected(question, _ids(model.prompt(question, blocks)), None)


def _ids(prompt: Prompt) -> list[int]:
    return [*prompt.trunk.flat.ids_N.tolist(), *prompt.cue]


@contextmanager
def _whole_or_nothing(to: Path) -> Iterator[Path]:
    """A folder of the same name in a scrap folder beside `to`, renamed to it at the end; removed where something went
    wrong. The name is that of the model in a GGUF file.
    """
    scrap = to.with_name(f".{to.name}.part")
    shutil.rmtree(scrap, ignore_errors=True)
    try:
        whole = scrap / to.name
        whole.mkdir(parents=True)
        yield whole
        whole.rename(to)
    except (OSError, SafetensorError) as error:  # weights are written by safetensors, which has an error of its own
        reason = getattr(error, "strerror", None) or error
        raise ExportError(f"{to} could not be written: {reason}; nothing was left behind") from error
    finally:
        shutil.rmtree(scrap, ignore_errors=True)


def _facts(run: Path, model: Model, prompt: PromptText, wanted: Wanted, outcome: Outcome) -> dict[str, Any]:
    """What the folder is made of, in plain types."""
    return {
        "run": run.resolve().name,
        "method": model.config.method.name,
        "checkpoint": {name: model.about[name] for name in ("name", "stage", "update")},
        "finished": (run / "result.json").exists(),
        "dtype": wanted.dtype,
        "license": wanted.license,
        "base_model": wanted.base_model,
        "prompt": asdict(prompt),
        "chain": model.evaluator.method.writes_chain(),
        "max_new_tokens": model.evaluator.max_new_tokens(),
        "memory_tokens": list(model.backbone.special.memory_tokens),
        "check": asdict(outcome),
        **describe(),
    }


def _report(to: Path, model: Model, outcome: Outcome, facts: dict[str, Any]) -> Sequence[str]:
    """What a person is told at the end."""
    won = outcome.memory_won
    so_far = "" if facts["finished"] else " of a run that has not ended"
    memory = (
        "memory tokens never had the largest logit, so engines that ignore suppress_tokens agree"
        if not won
        else f"a memory token had the largest logit {won} times: engines that ignore suppress_tokens need it banned "
        "(docs/serve.md, logit_bias)"
    )
    return [
        f"self-check    {outcome.prompts} prompts have the run's token ids; {outcome.equal} of {outcome.questions} "
        "answers are the run's token by token",
        f"              {memory}",
        *([_of_gguf(facts["gguf"])] if "gguf" in facts else []),
        f"wrote         {to} (checkpoint {model.about['name']}{so_far})",
        f"try it        transformers serve {to}    (docs/serve.md)",
    ]


def _of_gguf(gguf: dict[str, Any]) -> str:
    if gguf["prompts"] is None:
        return f"gguf          {gguf['file']}; token ids were NOT compared: that takes pip install llama-cpp-python"
    return f"gguf          {gguf['file']}; {gguf['prompts']} prompts have the run's token ids in llama.cpp"
