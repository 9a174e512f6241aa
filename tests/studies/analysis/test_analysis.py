"""The parts of an analysis on models and states of which the outcome is known."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from rim.backbone.decode import greedy
from rim.data.encode import EncodedExample
from rim.data.example import Task
from rim.data.registry import task
from rim.evaluation.evaluator import Evaluator
from rim.evaluation.lengths import Lengths
from rim.methods.registry import build_method
from rim.settings import Data
from rim.studies.analysis.attention import attention
from rim.studies.analysis.figures import heat_maps
from rim.studies.analysis.holding import QUESTION, States, states_of
from rim.studies.analysis.lens import _named, affine_lens, lens
from rim.studies.analysis.pairs import Pair, pairs_of, values_of
from rim.studies.analysis.patch import BOTH, KEYS, VALUES, intervene
from rim.studies.analysis.probe import probe
from rim.studies.analysis.projection import project
from rim.studies.analysis.readouts import FINAL, OWN, read_steps
from rim.studies.analysis.report import steps_section
from rim.studies.analysis.subject import OUTPUT, AnalysisError, Subject, check_readable, chosen_layers
from tests.models import example, tiny_backbone
from tests.numerics.inserted import inserted
from tests.variants import settings

TRACKING = task("tracking")


def evaluator(backbone: Any, variant: str = "memory_blocks", *more: str) -> Evaluator:
    method = build_method(settings(variant, *more), backbone.tokenizer)
    method.add_modules(backbone)
    return Evaluator(method, backbone.tokenizer, Lengths(4, 4))


def subject(family: str = "llama", *more: str, of: Task = TRACKING) -> Subject:
    backbone = tiny_backbone(family)
    return Subject(backbone, evaluator(backbone, "memory_blocks", *more), of, chosen_layers(backbone, ()), 3)


def stated(asked: Subject, of: EncodedExample) -> EncodedExample:
    """The example whose right answer is what the model says."""
    [[tokens]] = greedy(asked.backbone, asked.prompts([of]), 4)
    return replace(of, gold=asked.backbone.tokenizer.decode(tokens, skip_special_tokens=True).strip())


# ---------------------------------------------------------------- pairs


def test_donors_of_a_generated_task_differ_in_one_step() -> None:
    tokenizer = tiny_backbone().tokenizer
    question = "Bob has the key. Bob and Ann swap. Tom and Bob swap. Who has the key?"
    ids = np.array(tokenizer(question + "\n")["input_ids"], dtype=np.int32)
    of = replace(example(), text=question, question=ids, gold="Ann")
    assert values_of(TRACKING, of, tokenizer) == ("Ann", "Ann")
    [pair] = pairs_of(TRACKING, [of], tokenizer, Data())
    [alike] = pairs_of(TRACKING, [of], tokenizer, Data(), same=True)
    assert pair.donor.gold != "Ann" and values_of(TRACKING, alike.donor, tokenizer) == ("Ann", "Ann")
    for each in (pair, alike):
        assert len(each.donor.question) == len(ids) and 0 < len(each.changed) < len(ids) / 2


def test_donors_of_other_tasks_have_as_many_steps_and_tokens() -> None:
    rows = [
        example(9, seed=1),
        example(9, steps=(2,), seed=2),
        example(5, seed=3),
        example(9, seed=4),
        example(9, seed=5),
    ]
    rows = [replace(row, gold=gold, text=row.id) for row, gold in zip(rows, "77787", strict=True)]
    found = [(pair.receiver.id, pair.donor.id) for pair in pairs_of(task("gsm8k"), rows, None, Data())]
    assert found == [("test/1", "test/4"), ("test/4", "test/5"), ("test/5", "test/4")]
    same = [(pair.receiver.id, pair.donor.id) for pair in pairs_of(task("gsm8k"), rows, None, Data(), same=True)]
    assert same == [("test/1", "test/5"), ("test/5", "test/1")]


def test_what_cannot_be_paired_is_a_lesson() -> None:
    with pytest.raises(
        AnalysisError, match=r"^task 'coin_flip' has no counterfactuals: its questions are not generated"
    ):
        pairs_of(task("coin_flip"), [example(steps=())], None, Data())
    with pytest.raises(
        AnalysisError, match=r"^donor 'test/2' has a question of 5 tokens, and 'test/1' one of 9: states"
    ):
        Pair(example(9, seed=1), example(5, seed=2))


# ---------------------------------------------------------------- interventions


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_changed_question_is_the_donors_and_its_own_states_change_nothing(family: str) -> None:
    asked = subject(family)
    rows = [row for seed in range(1, 13) if (row := stated(asked, example(9, seed=seed))).gold]
    pairs = [Pair(own, other) for own, other in pairwise(rows) if own.gold != other.gold]
    found = intervene(asked, pairs)
    assert found.pairs == found.asked == len(pairs) > 1
    assert found.share("question: changed tokens", "layer 0") == 1, "it is the donor's question then"
    assert found.share("all blocks", "layer 0", "stays") == 1, "blocks are the same tokens in all questions"
    assert {*found.sites} == {
        *("block 1", "block 2", "block 3", "all blocks"),
        *("question: changed tokens", "question: last token", "question: random tokens"),
    }
    assert {column for _, column in found.counts} == {"layer 0", "layer 1", "layer 2", KEYS, VALUES, BOTH}


def test_pairs_that_are_not_answered_rightly_take_no_part() -> None:
    asked = subject()
    wrong = replace(example(9, seed=1), gold="no answer")
    found = intervene(asked, [Pair(wrong, stated(asked, example(9, seed=2)))])
    assert (found.pairs, found.asked, found.sites) == (0, 1, [])


# ---------------------------------------------------------------- what a block holds


def planted(rows: int, seed: int) -> States:
    """Block 1 holds the value after step 1 at layer 1, block 2 nothing."""
    draw = np.random.default_rng(seed)
    values = [tuple(draw.choice(["Ann", "Bob", "Tom"], 2)) for _ in range(rows)]
    first = np.array([["Ann", "Bob", "Tom"].index(each[0]) for each in values])
    noise = {key: draw.normal(size=(rows, 6)) for key in [("block 1", "layer 1"), ("block 2", "layer 1")]}
    noise["block 1", "layer 1"][np.arange(rows), first] += 12
    return States(noise, values)


def test_a_probe_finds_what_is_there_and_nothing_else() -> None:
    found = probe(planted(200, 0), planted(80, 1))
    assert found.right.found["block 1", 1, "layer 1"].value == 1
    others = [share.value for key, share in found.right.found.items() if key[:2] != ("block 1", 1)]
    floor = [share.value for share in found.floor.found.values()]
    assert max(others + floor) < 0.6 and len(others) == 3
    assert found.right.best(1)[:2] == ("block 1", "layer 1")


def test_states_are_those_of_a_blocks_tokens_by_site_and_layer() -> None:
    asked = subject()
    rows = [replace(example(length, seed=length), text="Bob has the key. Bob and Ann swap. Who?") for length in (9, 5)]
    found = states_of(asked, rows)
    assert found.sites == ["block 1", "block 2", "block 3", QUESTION] and found.values == [("Ann",)] * 2
    for row, of in enumerate(rows):
        tree = asked.prompts([of])[0].trunk
        output = asked.backbone.model(torch.from_numpy(tree.flat.ids_N)[None], output_hidden_states=True)
        text, size = len(of.question), len(tree.nodes[1].ids)
        second_PD = output.hidden_states[1][0, text + size : text + 2 * size]
        np.testing.assert_allclose(
            found.by_site["block 2", "layer 1"][row], second_PD.detach().flatten(), atol=1e-4, rtol=1e-4
        )
        last_PD = output.hidden_states[2][0, text - size : text]
        np.testing.assert_allclose(
            found.by_site[QUESTION, "layer 2"][row], last_PD.detach().flatten(), atol=1e-4, rtol=1e-4
        )


def test_the_lens_at_the_output_names_what_the_model_would_say() -> None:
    """Values are the first tokens that the model says after the last block, which has no cue."""
    asked = subject()
    rows = [example(9, seed=seed) for seed in (1, 2, 3)]
    said = [tokens[-1] for tokens in greedy(asked.backbone, asked.prompts(rows), 1)]
    states = states_of(asked, [replace(row, text="Bob has the key. Bob and Ann swap. Who?") for row in rows])
    words = [asked.backbone.tokenizer.decode(each) for each in said]
    found = lens(asked, States(states.by_site, [(word,) for word in words]))
    whole = [asked.backbone.tokenizer(word)["input_ids"] == each for word, each in zip(words, said, strict=True)]
    assert found.found["block 3", 1, "output"].correct >= sum(whole) > 0


def test_the_affine_lens_names_what_the_layers_above_would_make_of_a_state() -> None:
    """Where the output is an affine map of a layer's states, it names there what the output names."""
    asked, draw = subject(), np.random.default_rng(0)
    d = asked.backbone.width
    turn_DD, shift_D = np.linalg.qr(draw.normal(size=(d, d)))[0], draw.normal(size=d)

    def states(rows: int) -> States:
        output_ED = draw.normal(size=(rows, d)).astype(np.float32)
        by_layer = {OUTPUT: output_ED, "layer 1": ((output_ED - shift_D) @ turn_DD).astype(np.float32)}
        return States({("block 1", layer): state_ED for layer, state_ED in by_layer.items()}, [("",)] * rows)

    train, test = states(1000), states(60)
    named_E = _named(asked, test.by_site["block 1", OUTPUT])
    test = States(test.by_site, [(asked.backbone.tokenizer.decode(token),) for token in named_E])
    plain, affine = (found.found for found in (lens(asked, test), affine_lens(asked, train, test)))
    at_output = plain["block 1", 1, OUTPUT].correct
    assert affine["block 1", 1, "layer 1"].correct >= 0.9 * at_output > 10 > plain["block 1", 1, "layer 1"].correct


@pytest.mark.parametrize("more", [(), ("method.answer_cue=So: ",)], ids=["without a cue", "with a cue"])
def test_readouts_of_grounding_say_of_foreign_blocks_what_the_other_checkpoint_would(more: tuple[str, ...]) -> None:
    """Where checkpoints differ in the memory tokens alone, blocks with the other's states are the other's blocks.

    A step is read without the cue, with which answers alone begin.
    """
    own, other, plain = subject("llama", *more), subject("llama", *more), subject().evaluator
    with torch.no_grad():
        rows_MD = other.backbone.model.get_input_embeddings().weight[list(other.backbone.special.memory_tokens)]
        rows_MD.copy_(rows_MD.flip(0) * 2)
        other.backbone.model.get_input_embeddings().weight[list(other.backbone.special.memory_tokens)] = rows_MD
    rows = [example(length, seed=length) for length in (9, 5)]
    texts = {}
    for name, asked in (("own", own), ("other", other)):
        texts[name] = greedy(asked.backbone, plain.prompts(asked.backbone, rows), 1)
    assert texts["own"] != texts["other"]
    said = {
        name: [replace(row, steps=tuple(map(np.array, each))) for row, each in zip(rows, of, strict=True)]
        for name, of in texts.items()
    }
    by_own = read_steps(other, own, said["own"]).held
    assert all(by_own.found[f"block {k}", k, OWN].value == 1 for k in (1, 2, 3))
    by_other = read_steps(other, own, said["other"]).held
    assert all(by_other.found[f"block {k}", k, FINAL].value == 1 for k in (1, 2, 3))
    assert any(by_other.found[f"block {k}", k, OWN].value < 1 for k in (1, 2, 3))


def test_questions_without_room_for_the_longest_step_are_left_out_and_counted() -> None:
    """Learned positions end where the long question's answer still fits, and its step of six tokens does not."""
    long, short = example(9, steps=(3, 6), seed=1), example(5, steps=(3, 6), seed=2)
    positions = subject("gpt2").prompts([long])[0].positions + 4
    backbone = tiny_backbone("gpt2", n_positions=positions)
    asked = Subject(backbone, evaluator(backbone), TRACKING, chosen_layers(backbone, ()), 3)
    read = read_steps(asked, asked, [long, short])
    assert read == replace(read_steps(asked, asked, [short]), without_room=1)
    assert {share.count for share in read.held.found.values()} == {1} and read.longest == 6
    text = steps_section("grounding-best", read).text
    assert "Questions left out: 1. With all blocks and a step of 6 tokens, the longest of all, they take more" in text
    none = steps_section("grounding-best", read_steps(asked, asked, [long]))
    assert "|" not in none.text and none.record == {"cells": [], "without_room": 1}


def test_projections_have_a_point_for_each_block_and_example() -> None:
    found = project(planted(30, 0), 4, "layer 1", "after training")
    assert found.place_R2.shape == (60, 2) and found.block_R.tolist() == [1] * 30 + [2] * 30
    assert found.value_R[:30].tolist() == [values[0] for values in planted(30, 0).values]
    assert found.value_R[30:].tolist() == [values[1] for values in planted(30, 0).values]


@pytest.mark.parametrize(
    ("panels", "layers", "grid"), [(3, 9, (1, 3)), (4, 9, (2, 2)), (5, 13, (3, 2)), (40, 33, (40, 1))]
)
def test_heat_maps_of_many_steps_and_layers_go_on_below(panels: int, layers: int, grid: tuple[int, int]) -> None:
    share_RC = np.full((2, layers), 0.5)
    named = {f"after step {step}": share_RC for step in range(panels)}
    figure = heat_maps("Shares", named, ["block 1", "block 2"], [f"layer {n}" for n in range(layers)], "share")
    assert [axes.get_title(loc="left") for axes in figure.axes if axes.get_images()] == [*named]
    spec = figure.axes[0].get_subplotspec()
    assert spec is not None and spec.get_gridspec().get_geometry() == grid
    assert max(figure.get_size_inches()) * figure.dpi < 2**16, "a side that Agg can draw"


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_attention_is_the_models_own(family: str) -> None:
    """The reference: weights of a plain eager pass over the text with its answer."""
    asked = subject(family, "method.answer_cue=So: ")
    rows = [example(length, seed=length) for length in (9, 5)]
    found = attention(asked, rows)
    sums: dict[str, Any] = dict.fromkeys(found, 0)
    cue, count = asked.evaluator.method.cue, 0
    eager = tiny_backbone(family, "eager")
    for of in rows:
        trunk = asked.prompts([of])[0].trunk.flat.ids_N
        ids = [*trunk, *cue, *of.answer]
        weights = eager.model(torch.tensor([ids]), output_attentions=True).attentions
        text, size, n = len(of.question), (len(trunk) - len(of.question)) // 3, len(trunk)
        spans = {"question": (0, text), "cue and answer": (n, len(ids))}
        spans |= {f"block {k}": (text + (k - 1) * size, text + k * size) for k in (1, 2, 3)}
        for query in range(n + len(cue) - 1, len(ids)):
            count += 1
            for name, (start, stop) in spans.items():
                shares = [float(layer[0, :, query, start:stop].sum(-1).mean().detach()) for layer in weights]
                sums[name] = sums[name] + np.array(shares)
    for name, share_L in found.items():
        np.testing.assert_allclose(share_L, sums[name] / count, atol=1e-4)
    np.testing.assert_allclose(sum(found.values()), 1, atol=1e-5)
    assert asked.backbone.model.config._attn_implementation == "sdpa"


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("variant", "more", "message"),
    [
        (
            "direct",
            (),
            "this run has method.name=direct, which reads no blocks, and an analysis looks into blocks: use",
        ),
        ("memory_blocks, before the question", (), "this run has memory.placement=before_question: its blocks know no"),
        ("looped", ("method.loops=2",), "method.name=looped reads a question in several passes"),
    ],
)
def test_a_run_that_has_nothing_to_look_at(variant: str, more: tuple[str, ...], message: str) -> None:
    backbone = tiny_backbone("llama")
    with pytest.raises(AnalysisError) as caught:
        check_readable(evaluator(backbone, variant, *more), backbone)
    assert str(caught.value).startswith(message)


def test_layers_that_there_are_not() -> None:
    backbone = tiny_backbone("llama")
    assert chosen_layers(backbone, ()) == (0, 1, 2) and chosen_layers(backbone, (2, 0, 2)) == (0, 2)
    with pytest.raises(
        AnalysisError, match=r"^--layers 3: there is no such layer to look at; this run has 0 to 2, counted"
    ):
        chosen_layers(backbone, (1, 3))
    with pytest.raises(AnalysisError, match=r"this run has 2 to 3, counted from 0, since memory enters at layer 1$"):
        chosen_layers(inserted("llama", 1), (0,))
    with pytest.raises(
        AnalysisError, match=r"no layer is left to look at, since memory enters at layer 3, the last one"
    ):
        chosen_layers(inserted("llama", 3), ())
