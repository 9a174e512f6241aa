"""What the literal references share: plain causal passes over one example, with no tree, mask, cache or padding.

Axes: N tokens, T tokens of a text, D width, L layers (and the embedding), V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rim.backbone.backbone import Backbone
from rim.base.tree import TreeBatch, pad
from rim.data.encode import EncodedExample
from rim.methods.method import Losses, Method
from rim.settings.progress import Progress
from tests.models import example, tiny_backbone
from tests.numerics.test_packed import WINDOWED

FAMILIES = [("gpt2", {}), ("llama", {}), ("qwen3", {}), WINDOWED[0]]
EXAMPLES = [
    example(9, (3, 2, 4), seed=0),
    example(5, (2,), seed=1),
    example(14, (), answer=1, seed=2),
    example(7, (2, 3, 2, 4, 3), answer=3, seed=3),
]
"""Questions, chains and answers of different lengths, so that a batch of them is padded."""


def exact(family: str = "gpt2", **changes: object) -> Backbone:
    """A tiny backbone in double precision; rotary positions, root mean squares and losses stay in single precision."""
    return tiny_backbone(family, **changes).double()


def embed(backbone: Backbone, ids: Sequence[int]) -> Tensor:
    """[N, D] inputs of tokens."""
    return backbone.embed(torch.tensor([[int(token) for token in ids]], dtype=torch.long))[0]


def read(backbone: Backbone, inputs_ND: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [N, V] and states [L, N, D] of one plain pass."""
    output = backbone.model(inputs_embeds=inputs_ND[None], use_cache=False, output_hidden_states=True)
    return output.logits[0], torch.stack(output.hidden_states)[:, 0]


def text_nll(backbone: Backbone, inputs_ND: Tensor, text: Sequence[int]) -> Tensor:
    """[T] losses of the tokens of a text that follows these inputs."""
    logits_NV, _ = read(backbone, torch.cat([inputs_ND, embed(backbone, text)]))
    return cross_entropy(logits_NV[len(inputs_ND) - 1 : -1], torch.tensor(text), reduction="none")


@torch.no_grad()
def continued(backbone: Backbone, inputs_ND: Tensor, new: int) -> list[int]:
    """At most `new` most likely tokens after these inputs, each from a pass over everything before it."""
    tokens: list[int] = []
    for _ in range(new):
        logits_V = read(backbone, inputs_ND)[0][-1]
        logits_V[list(backbone.special.memory_tokens)] = -torch.inf
        token = int(logits_V.argmax())
        if token == backbone.special.end:
            break
        tokens.append(token)
        inputs_ND = torch.cat([inputs_ND, embed(backbone, [token])])
    return tokens


def spelt(backbone: Backbone, text: str) -> list[int]:
    """Tokens of a text."""
    return backbone.tokenizer(text, add_special_tokens=False)["input_ids"]


def chain(backbone: Backbone, of: EncodedExample, first: int = 0) -> list[int]:
    """A chain of thought from step `first` (counted from 0) on: steps, mark, answer, end."""
    steps = [int(token) for step in of.steps[first:] for token in (*step, *spelt(backbone, "\n"))]
    return [*steps, *spelt(backbone, "#### "), *answer(backbone, of)]


def answer(backbone: Backbone, of: EncodedExample) -> list[int]:
    """The answer and its end."""
    return [*(int(token) for token in of.answer), backbone.special.end]


@dataclass(frozen=True)
class Trained:
    """What `method.losses` gave on a padded batch: the mean loss, and gradients by name of the parameter."""

    batch: TreeBatch
    losses: Losses
    loss: float
    gradients: dict[str, Tensor]

    def nll(self, row: int) -> Tensor:
        """Losses of the supervised tokens of one example."""
        return self.losses.nll_S[self.batch.example_S == row]


def train(
    method: Method, backbone: Backbone, progress: Progress, examples: Sequence[EncodedExample] = EXAMPLES
) -> Trained:
    """Losses and gradients of a batch as training computes them."""
    batch = pad([method.layout(of, progress) for of in examples], backbone.special.pad)
    losses = method.losses(backbone, batch)
    loss = losses.total / losses.count
    return Trained(batch, losses, loss.item(), gradients(backbone, loss))


def gradients(backbone: Backbone, loss: Tensor) -> dict[str, Tensor]:
    """Gradients of everything that trains."""
    backbone.zero_grad(set_to_none=True)
    loss.backward()
    return {name: p.grad.clone() for name, p in backbone.named_parameters() if p.grad is not None}


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float = 1e-6) -> None:
    """All gradients agree, up to a share of the largest entry of all of them and of each entry's own size."""
    assert found.keys() == wanted.keys()
    scale = largest(wanted)
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient, rtol=1e-5, atol=tolerance * scale), name


def largest(of: dict[str, Tensor]) -> float:
    """The largest entry of all gradients."""
    return max(float(gradient.abs().max()) for gradient in of.values())


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference of two sets of gradients, as a share of the largest entry."""
    return max(float((one[name] - other[name]).abs().max()) for name in one) / largest(one)


@contextmanager
def passes(backbone: Backbone) -> Iterator[Callable[[], int]]:
    """Counts the forward passes of a backbone."""
    seen: list[None] = []
    handle = backbone.register_forward_hook(lambda *_: seen.append(None))
    yield lambda: len(seen)
    handle.remove()
