"""Fixed shapes give the tokens of the plain decoder: every family, every method, all branches, any batch, any end."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from rim.backbone import fast
from rim.backbone.backbone import Backbone
from rim.backbone.decode import Prompt, greedy
from rim.backbone.fast import DecodeError, FastDecoder, decoder
from rim.backbone.tokenizer import Slots
from rim.methods.method import Method
from rim.methods.registry import build_method
from tests.models import config, example, stopped, tiny_backbone
from tests.numerics.test_packed import FAMILIES
from tests.variants import VARIANTS, settings

NEW = 20
"""More tokens than are generated between two looks at the end, and than one multiple of columns has room for."""


def prompts(method: Method, *lengths: int) -> list[Prompt]:
    return [method.prompt(stopped(example(length, seed=length), 1)) for length in lengths or (9, 5, 14)]


def made(backbone: Backbone, *lengths: int, **memory: object) -> list[Prompt]:
    return prompts(build_method(config(**memory), backbone.tokenizer), *lengths)


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
def test_all_branches_of_every_family(family: str, changes: dict) -> None:
    backbone = tiny_backbone(family, **changes)
    rows = made(backbone)
    assert decoder("static")(backbone, rows, NEW) == greedy(backbone, rows, NEW)


def test_eager_attention_is_right_as_well() -> None:
    backbone = tiny_backbone("llama", "eager")
    assert decoder("static")(backbone, made(backbone), NEW) == greedy(backbone, made(backbone), NEW)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_method(variant: str) -> None:
    chosen = settings(variant)
    backbone = tiny_backbone("llama" if "memory" in variant else "gpt2", slots=Slots.of(chosen))
    method = build_method(chosen, backbone.tokenizer)
    method.add_modules(backbone)
    rows, read, quick = prompts(method), method.reader(backbone), decoder("static")
    for some in (rows, rows[:1]):
        assert quick(backbone, some, NEW, read=read) == greedy(backbone, some, NEW, read=read)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_memory_that_enters_above_is_not_seen_below(family: str) -> None:
    """Rows of unlike lengths, so that the columns of the lower layers have padding among them."""
    backbone = tiny_backbone(family)
    method = build_method(config(insertion_layer=2), backbone.tokenizer)
    method.add_modules(backbone)
    rows = prompts(method, 3, 17, 8)
    assert decoder("static")(backbone, rows, NEW) == greedy(backbone, rows, NEW)


def test_a_suspended_insertion_hides_nothing() -> None:
    """Though shapes were prepared while it acted."""
    backbone, quick = tiny_backbone("gpt2"), FastDecoder("static")
    method = build_method(config(insertion_layer=2), backbone.tokenizer)
    method.add_modules(backbone)
    rows = prompts(method)
    quick(backbone, rows, NEW)
    assert backbone.insertion is not None
    with backbone.insertion.suspended():
        assert quick(backbone, rows, NEW) == greedy(backbone, rows, NEW)


@pytest.mark.parametrize("changes", [{"readout_sees_question": False}, {"readout_position": "after_last_block"}])
def test_what_a_readout_sees_and_where_it_begins(changes: dict) -> None:
    backbone = tiny_backbone("llama")
    rows = [replace(prompt, cue=(20, 31)) for prompt in made(backbone, **changes)]
    assert decoder("static")(backbone, rows, NEW) == greedy(backbone, rows, NEW)


def ending(backbone: Backbone, rows: list[Prompt], longest: int) -> Backbone:
    """With the token for its end that stands in most of the answers of an endless model."""
    written = greedy(replaced(backbone, -1), rows, longest)
    texts = [set(branch) for row in written for branch in row]
    return replaced(backbone, Counter(token for text in texts for token in text).most_common(1)[0][0])


def replaced(backbone: Backbone, end: int) -> Backbone:
    return Backbone(backbone.model, backbone.tokenizer, replace(backbone.special, end=end))  # type: ignore[arg-type]


@pytest.mark.parametrize("look", [1, 4, 16])
def test_answers_end_where_the_end_token_is(look: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However seldom it is looked up, and though branches end at different places."""
    monkeypatch.setattr(fast, "CHECK_EVERY", look)
    backbone = tiny_backbone("gpt2")
    rows = made(backbone)
    short = ending(backbone, rows, NEW)
    answers = greedy(short, rows, NEW)
    assert len({len(branch) for row in answers for branch in row}) > 1
    assert decoder("static")(short, rows, NEW) == answers


def test_passes_stop_soon_after_the_last_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "CHECK_EVERY", 4)
    backbone = tiny_backbone("gpt2")
    rows = made(backbone, 9, blocks=1)
    short = ending(backbone, rows, NEW)
    passes: list[int] = []
    short.register_forward_hook(lambda *_: passes.append(1))
    (answer,) = decoder("static")(short, rows, 100)[0]
    assert len(passes) <= 2 + len(answer) + 4  # a pass to find the sizes, the prefill, and at most four too many


@pytest.mark.parametrize("longest", [1, 2, 16, 17])
def test_the_longest_answer_may_be_any_number_of_tokens(longest: int) -> None:
    backbone = replaced(tiny_backbone("llama"), -1)
    answers = decoder("static")(backbone, made(backbone), longest)
    assert {len(branch) for row in answers for branch in row} == {longest}
    assert answers == greedy(backbone, made(backbone), longest)


def test_what_is_prepared_is_used_again_and_keeps_nothing_of_earlier_questions() -> None:
    backbone, quick = tiny_backbone("llama"), FastDecoder("static")
    first, other = made(backbone, 9, 5, 14), made(backbone, 4, 15, 6)
    before = quick(backbone, first, NEW)
    room = quick.last
    assert quick(backbone, other, NEW) == greedy(backbone, other, NEW)
    assert quick.last is room and len(quick.rooms) == 1
    assert quick(backbone, first, NEW) == before
    longer = made(backbone, 40)
    assert quick(backbone, longer, NEW) == greedy(backbone, longer, NEW) and quick.last is not room


def test_weights_are_read_anew_and_another_model_gets_its_own_shapes() -> None:
    backbone, quick = tiny_backbone("llama"), FastDecoder("static")
    rows = made(backbone)
    before = quick(backbone, rows, NEW)
    with torch.no_grad():
        backbone.model.get_input_embeddings().weight.mul_(-1.7)
    assert quick(backbone, rows, NEW) == greedy(backbone, rows, NEW) != before
    narrow = tiny_backbone("gpt2", n_embd=16)
    assert quick(narrow, made(narrow), NEW) == greedy(narrow, made(narrow), NEW)


def test_the_size_of_the_cache_is_that_of_its_columns() -> None:
    """3 layers, keys and values, one question, 2 heads of width 8, 32 columns of trunk, 16 of answer, 1 to 16 spare."""
    backbone, quick = tiny_backbone("llama"), FastDecoder("static")
    quick(backbone, made(backbone, 9, blocks=1), 3)
    assert quick.cache_bytes == 3 * 2 * 2 * 8 * (32 + 16 + 16) * 4


def test_compiled_passes_are_whole_graphs_and_say_the_same() -> None:
    """Traced and run without a code generator, which would take longer than all other tests."""
    backbone = tiny_backbone("llama", num_hidden_layers=1)
    rows, quick = made(backbone, 9, 5), FastDecoder("compiled", backend="eager")
    assert quick(backbone, rows, 6) == greedy(backbone, rows, 6)
    assert quick(backbone, rows[1:], 6) == greedy(backbone, rows[1:], 6)


def test_compiled_passes_read_weights_anew() -> None:
    backbone = tiny_backbone("llama", num_hidden_layers=1)
    rows, quick = made(backbone, 9), FastDecoder("compiled", backend="eager")
    before, room = quick(backbone, rows, 6), quick.last
    with torch.no_grad():
        backbone.model.get_input_embeddings().weight.mul_(-1.7)
    assert quick(backbone, rows, 6) == greedy(backbone, rows, 6) != before
    assert quick.last is room


def test_compiled_steps_go_on_from_a_copied_cache() -> None:
    backbone = tiny_backbone("gpt2", n_layer=2)
    method = build_method(config(insertion_layer=1), backbone.tokenizer)
    method.add_modules(backbone)
    rows, quick = prompts(method, 9, 5), FastDecoder("compiled", backend="eager")
    assert quick(backbone, rows, 6) == greedy(backbone, rows, 6)


def test_weights_that_have_moved_are_prepared_for_anew() -> None:
    """As by a change of device: what was recorded knows the old places alone."""
    backbone, quick = tiny_backbone("llama"), FastDecoder("static")
    rows = made(backbone)
    quick(backbone, rows, NEW)
    room = quick.last
    for weight in backbone.parameters():
        weight.data = weight.data * -1.7
    assert quick(backbone, rows, NEW) == greedy(backbone, rows, NEW)
    assert quick.last is not room and len(quick.rooms) == 1


def test_what_a_trainers_validation_has_prepared_serves_outside_of_it() -> None:
    """There tensors are made in inference mode; such ones could not be written to later."""
    backbone, quick = tiny_backbone("llama"), FastDecoder("static")
    with torch.inference_mode():
        found = quick(backbone, made(backbone), NEW)
    room = quick.last
    assert quick(backbone, made(backbone), NEW) == found == greedy(backbone, made(backbone), NEW)
    assert quick.last is room and torch.is_grad_enabled()


def test_a_way_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DecodeError, match="'quick': there is no such way; there are plain, static, compiled, graph"):
        decoder("quick")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DecodeError, match=r"'graph': CUDA graphs need a GPU of NVIDIA, .*; use plain or compiled"):
        decoder("graph")
    assert decoder("plain") is greedy
