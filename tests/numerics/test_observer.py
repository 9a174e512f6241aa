"""What an observer sees, against plain causal passes over each text; and that looking changes nothing.

Axes: K branches, N tokens of a text, D width.
"""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from rim.backbone.backbone import Backbone
from rim.backbone.decode import greedy
from rim.backbone.observer import Observer, ObserverError
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings.load import load
from tests.models import example, stopped, tiny_backbone
from tests.numerics import literal

EXAMPLES = [stopped(example(9, seed=0), 3), example(5, seed=1), stopped(example(14, seed=2), 2, 9)]
"""Questions of different lengths, so that a batch is padded; two of them have several sentences."""
NEW = 4
PLACES = [
    (),
    ("method.answer_cue=So: ",),
    ("memory.placement=sentence_ends", "method.answer_cue=So: "),
    ("memory.placement=before_question",),
]


def made(backbone: Backbone, *more: str) -> Method:
    method = build_method(load([], ["memory.blocks=3", *more]), backbone.tokenizer)
    method.add_modules(backbone)
    return method


def observed(method: Method, backbone: Backbone, observer: Observer | None) -> list[list[list[int]]]:
    return method.answer(backbone, [method.prompt(each) for each in EXAMPLES], NEW, observe=observer)


def texts(method: Method, row: int) -> list[list[int]]:
    """The tokens on the way from the root to the end of each branch point, without cue."""
    prompt = method.prompt(EXAMPLES[row])
    flat = prompt.trunk.flat
    return [
        [int(token) for token, node in zip(flat.ids_N, flat.node_N, strict=True) if _before(prompt.trunk, node, branch)]
        for branch in prompt.branches
    ]


def _before(trunk, node: int, branch: int | None) -> bool:
    while branch is not None:
        if branch == node:
            return True
        branch = trunk.nodes[branch].parent
    return False


def layer_output(backbone: Backbone, ids: Sequence[int], layer: int) -> Tensor:
    """[N, D] what a layer gives in a plain pass: the input of the next one."""
    stack = backbone.model.transformer.h if hasattr(backbone.model, "transformer") else backbone.model.model.layers
    found = []
    handle = stack[layer].register_forward_hook(
        lambda _, __, output: found.append(output if torch.is_tensor(output) else output[0])
    )
    with torch.no_grad():
        literal.read(backbone, literal.embed(backbone, ids))
    handle.remove()
    return found[0][0]


def probability(backbone: Backbone, ids: Sequence[int]) -> float:
    """Of the most likely next token that is no memory token."""
    with torch.no_grad():
        logits_V = literal.read(backbone, literal.embed(backbone, ids))[0][-1]
    logits_V[list(backbone.special.memory_tokens)] = -torch.inf
    return float(logits_V.float().softmax(-1).max())


@pytest.mark.parametrize("more", PLACES)
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_probabilities_and_states_are_those_of_plain_passes(family: str, more: tuple[str, ...]) -> None:
    backbone = literal.exact(family)
    method, observer = made(backbone, *more), Observer(layer=1)
    observed(method, backbone, observer)
    assert observer.state_BKD.shape == (len(EXAMPLES), 3, backbone.width)
    for row in range(len(EXAMPLES)):
        for branch, ids in enumerate(texts(method, row)):
            state_D = layer_output(backbone, ids, 1)[-1]
            assert torch.allclose(observer.state_BKD[row, branch].double(), state_D.double(), atol=1e-4, rtol=1e-4)
            wanted = probability(backbone, [*ids, *method.cue])
            assert float(observer.probability_BK[row, branch]) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_last_layer_is_observed_by_default(family: str) -> None:
    backbone = literal.exact(family)
    method = made(backbone)
    plain, named = Observer(), Observer(layer=2)
    observed(method, backbone, plain)
    observed(method, backbone, named)
    assert torch.equal(plain.state_BKD, named.state_BKD)
    wanted_D = layer_output(backbone, texts(method, 0)[1], 2)[-1]
    assert torch.allclose(plain.state_BKD[0, 1].double(), wanted_D.double(), atol=1e-4, rtol=1e-4)


def test_loops_are_observed_as_they_end() -> None:
    """Two loops: what the second gives at the closing token of block 2, given embedding plus the first one's output."""
    backbone = literal.exact("llama")
    method, observer = made(backbone, "method.name=looped", "method.loops=2"), Observer()
    observed(method, backbone, observer)
    for row, of in enumerate(EXAMPLES):
        ids = texts(method, row)[-1]
        with torch.no_grad():
            inputs_ND = literal.embed(backbone, ids)
            question = len(of.question)
            again_ND = inputs_ND.clone()
            again_ND[question:] += literal.read(backbone, inputs_ND)[1][-1, question:]
            logits_NV, states_LND = literal.read(backbone, again_ND)
        logits_NV[:, list(backbone.special.memory_tokens)] = -torch.inf
        ends = [len(text) - 1 for text in texts(method, row)]
        wanted_K = logits_NV[ends].float().softmax(-1).amax(-1)
        assert torch.allclose(observer.probability_BK[row], wanted_K, atol=1e-5)
        with torch.no_grad():
            normed_KD = backbone.model.model.norm(observer.state_BKD[row].double())
        assert torch.allclose(normed_KD, states_LND[-1, ends], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("more", [(), ("memory.placement=sentence_ends",)])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_inserted_memory_is_observed_from_its_layer_on(family: str, more: tuple[str, ...]) -> None:
    """The vectors begin as the tokens' embeddings: blocks that enter at layer 1 have the states that their answers
    are read from, in the layers 1 and 2."""
    backbone = literal.exact(family)
    method = made(backbone, "memory.insertion_layer=1", *more)
    last, first = Observer(), Observer(layer=1)
    answers = observed(method, backbone, last)
    observed(method, backbone, first)
    norm = backbone.model.transformer.ln_f if family == "gpt2" else backbone.model.model.norm
    with torch.no_grad():
        logits_BKV = backbone.model.lm_head(norm(last.state_BKD.double()))
    logits_BKV[..., list(backbone.special.memory_tokens)] = -torch.inf
    assert torch.allclose(logits_BKV.float().softmax(-1).amax(-1), last.probability_BK, atol=1e-5)
    begins = [[branch[0] if branch else backbone.special.end for branch in row] for row in answers]
    assert logits_BKV.argmax(-1).tolist() == begins
    assert first.state_BKD.shape == last.state_BKD.shape and not torch.allclose(first.state_BKD, last.state_BKD)


@pytest.mark.parametrize(
    "more",
    [*PLACES, ("memory.insertion_layer=2",), ("method.name=looped", "method.loops=3"), ("method.name=pause",)],
)
def test_answers_and_the_number_of_passes_stay_the_same(more: tuple[str, ...]) -> None:
    backbone = tiny_backbone("llama")
    method = made(backbone, *more)
    with literal.passes(backbone) as alone:
        plain = observed(method, backbone, None)
    with literal.passes(backbone) as watched:
        assert observed(method, backbone, Observer()) == plain
    assert watched() == alone()


def test_nothing_is_left_on_the_model() -> None:
    backbone = tiny_backbone("gpt2")
    method = made(backbone)
    observed(method, backbone, Observer())
    with pytest.raises(ObserverError):
        observed(method, backbone, Observer(layer=3))
    assert not any(module._forward_hooks for module in backbone.modules())


def test_an_answer_that_is_read_early_is_the_same() -> None:
    """Block k never sees block k + 1: with k blocks alone the model says and is as sure as after block k of three."""
    backbone = literal.exact("llama")
    method, whole = made(backbone), Observer()
    answers = observed(method, backbone, whole)
    for blocks in (1, 2):
        early = Observer()
        prompts = [method.prompt(each, blocks=blocks) for each in EXAMPLES]
        found = method.answer(backbone, prompts, NEW, observe=early)
        assert [row[-1] for row in found] == [row[blocks - 1] for row in answers]
        assert torch.allclose(early.probability_BK[:, -1], whole.probability_BK[:, blocks - 1], atol=1e-6)
        assert torch.allclose(early.state_BKD[:, -1], whole.state_BKD[:, blocks - 1], atol=1e-4)


def test_a_layer_that_there_is_not() -> None:
    backbone = tiny_backbone("gpt2")
    with pytest.raises(ObserverError, match=r"evaluation.probe_layer = 3: the model has 3 layers, counted from 0; set"):
        observed(made(backbone), backbone, Observer(layer=3))


def test_edited_states_are_not_observed() -> None:
    backbone = tiny_backbone("gpt2")
    prompts = [made(backbone).prompt(each) for each in EXAMPLES]
    with pytest.raises(ValueError, match="give `observe` or `edit`, not both"):
        greedy(backbone, prompts, NEW, edit=lambda blocks: None, observe=Observer())
