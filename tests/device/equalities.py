"""What must be equal on the second device, each as a job for a process that has it."""

from typing import Any, NamedTuple

import torch

from rim.backbone.backbone import Backbone
from rim.backbone.decode import Prompt, greedy
from rim.backbone.fast import FastDecoder, decoder
from rim.backbone.load import load_backbone
from rim.backbone.selfcheck import self_check
from rim.backbone.tokenizer import build_tokenizer
from rim.base.tree import pad
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings import Backbone as BackboneConfig
from rim.settings import Scratch
from rim.studies.benchmark.workload import drawn_on
from tests.methods.test_contract import NEW as FEW
from tests.methods.test_contract import Made, slowly
from tests.models import TEXTS, at, config, example, tiny_backbone, with_adapters
from tests.numerics.test_packed import WINDOWED, trees

NEW = 20
"""Tokens of an answer, where they need not be read anew for each."""
QUESTIONS = ((9, 5, 14), (4, 15, 6), (9, 5, 14), (40, 2, 3))
"""Tokens of the questions that are answered after each other: other ones, the first again, and a longer one."""


class Shape(NamedTuple):
    """A family with its changes, and what of it trains."""

    family: str
    training: str
    changes: dict[str, Any]

    def backbone(self, place: torch.device) -> Backbone:
        """A tiny random model of the shape there."""
        plain = tiny_backbone(self.family, **self.changes)
        return (with_adapters(plain) if self.training == "lora" else plain).to(place)


FAMILIES = [("llama", {}), ("gpt2", {}), ("qwen3", {}), WINDOWED[1]]
SHAPES = {f"{name}, {how}": Shape(name, how, changes) for name, changes in FAMILIES for how in ("full", "lora")}
"""By name; the last family's layers see 8 tokens back."""


def packed(place: torch.device, shape: str) -> list[tuple[float, float]]:
    """(largest difference, tolerance) of packed and separate passes in both stages; too large a one is an error."""
    backbone = SHAPES[shape].backbone(place)
    checks = [self_check(backbone, trees(backbone, objective)) for objective in ("grounding", "refinement")]
    return [(check.difference, check.tolerance) for check in checks]


def uncached(place: torch.device, shape: str) -> tuple[Any, Any]:
    """Answers from one prefill, and the same with everything read anew for every token."""
    backbone = SHAPES[shape].backbone(place)
    of = Made(_method(backbone), backbone)
    rows = _prompts(of.method, QUESTIONS[0])
    anew = [[slowly(of, prompt, branch) for branch in prompt.branches] for prompt in rows]
    return greedy(backbone, rows, FEW), anew


def batched(place: torch.device, shape: str) -> tuple[Any, Any]:
    """Answers of questions together, and one by one."""
    backbone = SHAPES[shape].backbone(place)
    rows = _prompts(_method(backbone), QUESTIONS[0])
    return greedy(backbone, rows, NEW), [greedy(backbone, [row], NEW)[0] for row in rows]


def decoded(place: torch.device, shape: str, mode: str, dtype: torch.dtype, to: str) -> tuple[Any, Any]:
    """Answers in fixed shapes, which are prepared once and used again, and as another way of decoding gives them."""
    backbone = SHAPES[shape].backbone(place).to(dtype)
    method, ways = _method(backbone), (decoder(mode), decoder(to))
    asked = [_prompts(method, lengths) for lengths in QUESTIONS]
    one, other = ([way(backbone, rows, NEW) for rows in asked] for way in ways)
    return one, other


def compiled(place: torch.device, shape: str, options: dict[str, Any]) -> tuple[Any, Any]:
    """Answers of compiled passes, which on a GPU are run, recorded and replayed, and plain ones.

    Args:
        options: of torch.compile.
    """
    backbone, quick = SHAPES[shape].backbone(place), FastDecoder("compiled", **options)
    rows = _prompts(_method(backbone), QUESTIONS[0])
    return [quick(backbone, rows, NEW) for _ in range(3)], [greedy(backbone, rows, NEW)] * 3


def rounded(place: torch.device, shape: str) -> tuple[list[float], list[float]]:
    """Losses of all stages in bf16 arithmetic on fp32 weights, and in fp32."""
    backbone = SHAPES[shape].backbone(place)
    with torch.autocast(place.type, dtype=torch.bfloat16):
        half = _losses(backbone)
    return half, _losses(backbone)


def _losses(backbone: Backbone) -> list[float]:
    method, found = _method(backbone), []
    for objective in ("grounding", "refinement"):
        batch = pad(trees(backbone, objective), backbone.special.pad).to(backbone.device)
        losses = method.losses(backbone, batch)
        found.append((losses.total / losses.count).item())
    return found


def drawn(place: torch.device, training: str) -> dict[str, str]:
    """The device of every weight of a backbone whose random weights are drawn there, adapters and memory rows too."""
    shape = Scratch("llama", layers=2, width=32, heads=2)
    settings = BackboneConfig(source="scratch", training=training, scratch=shape)  # type: ignore[arg-type]
    with drawn_on(place):
        backbone = load_backbone(settings, build_tokenizer(TEXTS, 280), seed=1)
    method = _method(backbone)
    loss = method.losses(backbone, pad([method.layout(example(), at("grounding"))], 0).to(place)).total
    assert torch.isfinite(loss).item()
    return {name: weight.device.type for name, weight in backbone.state_dict().items()}


def _method(backbone: Backbone) -> Method:
    return build_method(config(), backbone.tokenizer)


def _prompts(method: Method, lengths: tuple[int, ...]) -> list[Prompt]:
    return [method.prompt(example(length, seed=length)) for length in lengths]
