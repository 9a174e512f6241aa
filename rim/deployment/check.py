"""The self-check of an export: the loaded folder is given questions of the run, and must answer as the run does.

Axes: B questions, N tokens of a prompt, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from rim.deployment.errors import ExportError
from rim.deployment.folder import load_model

ODD = (
    "  Two  spaces, and a tab\tand \n a line. ",
    "Braces {{ x }} {% y %} and 'quotes' \"here\"",
    "Emoji 👩‍🚀, ß and 北京?",
)
"""Questions whose spelling has broken templates before; only their token ids are compared."""


@dataclass(frozen=True)
class Expected:
    """What the run makes of a question: token ids of the prompt, and of the answer (None: it is not asked)."""

    question: str
    prompt: list[int]
    answer: list[int] | None


@dataclass(frozen=True)
class Outcome:
    """What the self-check found.

    `questions` were answered, of which `equal` token by token; `first_difference` says where the first one was not.
    `memory_won` counts tokens of answers for which a memory token had the largest logit: an engine that ignores
    `suppress_tokens` would have generated it.
    """

    questions: int
    equal: int
    prompts: int
    memory_won: int
    first_difference: str = ""


def check_export(folder: Path, expected: Sequence[Expected], memory_tokens: Sequence[int]) -> Outcome:
    """Load the folder without our classes and compare.

    Raises:
        ExportError: the ids of a prompt differ; says where.
    """
    model, tokenizer = load_model(folder)
    for each in expected:
        _require_same_ids(tokenizer, each)
    asked = [each for each in expected if each.answer is not None]
    equal, won, first = 0, 0, ""
    for each in asked:
        found, logits_NV = _generated(model, each.prompt, tokenizer.eos_token_id)
        equal += found == each.answer
        won += int(torch.isin(logits_NV.argmax(-1), torch.tensor(memory_tokens)).sum())
        if found != each.answer and not first:
            here, there = tokenizer.decode(found), tokenizer.decode(each.answer or [])
            first = f"{each.question!r} is answered {here!r} by the folder and {there!r} by the run"
    return Outcome(len(asked), equal, len(expected), won, first)


def rendered(tokenizer: PreTrainedTokenizerBase, question: str) -> list[int]:
    """Token ids that the chat template gives for one user message."""
    chat = [{"role": "user", "content": question}]
    ids: Any = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    return list(ids)


def _require_same_ids(tokenizer: PreTrainedTokenizerBase, expected: Expected) -> None:
    found = rendered(tokenizer, expected.question)
    if found == expected.prompt:
        return
    pairs = enumerate(zip(found, expected.prompt, strict=False))
    place = next((index for index, (here, there) in pairs if here != there), min(len(found), len(expected.prompt)))
    shown = [tokenizer.decode(ids[place : place + 5]) for ids in (found, expected.prompt)]
    raise ExportError(
        f"the chat template gives other tokens than the run for {expected.question!r}: at token {place} it reads "
        f"{shown[0]!r}, and the run {shown[1]!r}. The tokenizer does not split text at special tokens as the run does; "
        "with method.answer_cue='' it may"
    )


@torch.no_grad()
def _generated(model: Any, prompt: list[int], end: int) -> tuple[list[int], Tensor]:
    """Tokens of an answer without its end, and the logits [N, V] that each was chosen from."""
    ids_BN = torch.tensor([prompt])
    mask_BN = torch.ones_like(ids_BN)
    output = model.generate(ids_BN, attention_mask=mask_BN, return_dict_in_generate=True, output_logits=True)
    tokens = output.sequences[0, len(prompt) :].tolist()
    return tokens[: tokens.index(end)] if end in tokens else tokens, torch.cat(output.logits).float()
