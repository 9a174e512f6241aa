"""Latency: passes, positions and tokens counted by hand, times from a clock that moves with passes alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rim.backbone import fast
from rim.backbone.backbone import Backbone
from rim.base.errors import UserError
from rim.base.files import write_json
from rim.evaluation import waiting
from rim.evaluation.latency import Latency, Times, latency_of_run, measure
from rim.methods.direct import Direct
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.runs.folder import RunFolder
from tests.models import config, example, stopped, tiny_backbone
from tests.runs import tiny
from tests.swift import fit

BACKBONE = tiny_backbone()
END, SECOND, LONG = BACKBONE.special.end, 1000.0, 20


class Clock:
    """Shows the seconds that passes have taken, as they were given: one number per pass, in order."""

    def __init__(self, seconds: Iterator[float]) -> None:
        self.seconds, self.shown = seconds, 0.0

    def __call__(self) -> float:
        return self.shown

    def tick(self, *_: Any) -> None:
        self.shown += next(self.seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Pass number n of a test takes 10^n seconds, so that a sum of times tells which passes are in it."""
    made = Clock(10.0**n for n in count())
    monkeypatch.setattr(waiting, "perf_counter", made)
    handle = BACKBONE.register_forward_pre_hook(made.tick)
    yield made
    handle.remove()


@contextmanager
def says(*rows: list[int], prefill: int = 1) -> Iterator[None]:
    """The backbone generates these tokens, a list per question, whatever it is asked; then it ends."""
    passed = count(1 - prefill)

    def speak(_: nn.Module, __: Any, output: Any) -> Any:
        place = next(passed)
        for row, text in enumerate(rows):
            output.logits[row] = 0
            output.logits[row, ..., text[place] if 0 <= place < len(text) else END] = 1
        return output

    handle = BACKBONE.register_forward_hook(speak)
    try:
        yield
    finally:
        handle.remove()


def once(method: Method, *lengths: int, longest: int = LONG) -> Latency:
    """Questions of these lengths, answered together, once and at once."""
    rows = [example(length, seed=length) for length in lengths]
    return measure(BACKBONE, method, rows, longest, warmup=0, repeats=1, batch_size=len(rows))  # type: ignore[arg-type]


def counts(of: Latency) -> tuple[float, ...]:
    """Passes: prefill, to the first answer token, all; positions: to it, all; tokens."""
    passes = (of.prefill_passes, of.passes_to_first, of.passes)
    return (*passes, of.positions_to_first, of.positions, of.tokens)


@pytest.mark.parametrize(("kind", "waits"), [("cpu", 0), ("cuda", 1), ("mps", 1)])
def test_the_clock_is_read_once_a_device_has_done_its_work(
    kind: str, waits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: seen.append(kind))
    waiting.now(torch.device(kind))
    assert seen == [kind] * waits


def test_a_direct_answer(clock: Clock) -> None:
    """9 tokens of the question give the first token; two more passes of one token each give the second and the end."""
    with says([5, 6]):
        made = once(build_method(config("direct"), BACKBONE.tokenizer), 9)
    assert counts(made) == (1, 1, 3, 9, 11, 3)
    assert made.first_ms == Times(1 * SECOND, 1 * SECOND, 1 * SECOND)
    assert made.full_ms == Times(111 * SECOND, 111 * SECOND, 111 * SECOND)


@pytest.mark.parametrize(("longest", "tokens"), [(1, 1), (2, 2), (3, 3)])
def test_an_answer_that_is_cut_off_is_as_long_as_allowed(longest: int, tokens: int) -> None:
    """The last token that is allowed is generated and never read, be it the end or not."""
    with says([5, 6]):
        made = once(build_method(config("direct"), BACKBONE.tokenizer), 9, longest=longest)
    assert counts(made) == (1, 1, tokens, 9, 9 + tokens - 1, tokens)


def test_an_empty_answer_is_its_end() -> None:
    with says([]):
        assert counts(once(build_method(config("direct"), BACKBONE.tokenizer), 9)) == (1, 1, 1, 9, 9, 1)


def test_blocks_are_read_with_the_question_and_only_the_last_is_answered(clock: Clock) -> None:
    """4 blocks of 4 tokens; every further token is one position, not one for each block."""
    with says([5, 6]):
        made = once(build_method(config("memory_blocks"), BACKBONE.tokenizer), 9)
    assert counts(made) == (1, 1, 3, 9 + 16, 9 + 16 + 2, 3)
    assert (made.first_ms.mean, made.full_ms.mean) == (1 * SECOND, 111 * SECOND)


@pytest.mark.parametrize("placement", ["before_question", "sentence_ends"])
@pytest.mark.parametrize("blocks", [1, 4])
def test_the_question_is_read_once_wherever_blocks_stand(placement: str, blocks: int) -> None:
    """Only earlier answers need what is left of the question after a block."""
    method = build_method(config("memory_blocks", placement=placement, blocks=blocks), BACKBONE.tokenizer)
    rows = [stopped(example(14), 2, 8)]
    with says([5, 6]):
        made = measure(BACKBONE, method, rows, LONG, warmup=0, repeats=1)  # type: ignore[arg-type]
    assert counts(made) == (1, 1, 3, 14 + 4 * blocks, 14 + 4 * blocks + 2, 3)


def test_a_cue_is_read_with_the_question() -> None:
    settings = config("direct")
    settings.method.answer_cue = "Ann"
    method = build_method(settings, BACKBONE.tokenizer)
    assert len(method.cue) > 0
    with says([5, 6]):
        assert counts(once(method, 9))[3:] == (9 + len(method.cue), 9 + len(method.cue) + 2, 3)


def test_a_written_chain_comes_before_the_answer(clock: Clock) -> None:
    """The first token of the answer follows the mark: 1 pass for the question and one for each token up to the mark."""
    method = build_method(config("cot"), BACKBONE.tokenizer)
    mark = len(method.answer_mark)
    with says([50, 51, *method.answer_mark, 40, 41]):
        made = once(method, 9)
    before, tokens = 2 + mark, 2 + mark + 3
    assert counts(made) == (1, 1 + before, tokens, 9 + before, 9 + tokens - 1, tokens)
    assert made.first_ms.mean == SECOND * sum(10**n for n in range(1 + before))
    assert made.full_ms.mean == SECOND * sum(10**n for n in range(tokens))


@pytest.mark.parametrize(("longest", "tokens"), [(LONG, 4), (3, 3)])
def test_a_chain_without_an_answer_is_waited_for_to_its_end(longest: int, tokens: int) -> None:
    method = build_method(config("cot"), BACKBONE.tokenizer)
    with says([50, 51, 52]):
        made = once(method, 9, longest=longest)
    assert counts(made) == (1, tokens, tokens, 9 + tokens - 1, 9 + tokens - 1, tokens)


class Thinks(Direct):
    """Reads its prompts two times more before it answers, as a method with several passes does."""

    def answer(self, backbone: Backbone, prompts: Any, max_new_tokens: int, **options: Any) -> list[list[list[int]]]:
        for _ in range(2):
            super().answer(backbone, prompts, 1, **options)
        return super().answer(backbone, prompts, max_new_tokens, **options)


def test_all_passes_before_the_first_token_are_waited_for(clock: Clock) -> None:
    with says([5, 6], prefill=3):
        made = once(Thinks(config("direct"), BACKBONE.tokenizer), 9)
    assert counts(made) == (3, 3, 5, 27, 29, 3)
    assert (made.first_ms.mean, made.full_ms.mean) == (111 * SECOND, 11111 * SECOND)


class Announces(Direct):
    """The answer follows the last token 50."""

    def answer_begins(self, tokens: Any) -> int:
        return max((place + 1 for place, token in enumerate(tokens) if token == 50), default=0)


def test_questions_that_are_answered_together_wait_for_each_other(clock: Clock) -> None:
    """The shorter question is padded to 9; the second answer begins later, after 50 and 50, and ends later."""
    with says([5], [50, 50, 7]):
        made = once(Announces(config("direct"), BACKBONE.tokenizer), 9, 5)
    assert counts(made) == (1, 3, 4, 11, 12, (2 + 4) / 2)
    assert (made.first_ms.mean, made.full_ms.mean) == (111 * SECOND, 1111 * SECOND)
    assert (made.questions, made.batch_size) == (2, 2)


def direct(*lengths: int, **options: Any) -> Latency:
    """Measured with the tokens that the random model itself generates."""
    rows = [example(length, seed=length) for length in lengths]
    method = build_method(config("direct"), BACKBONE.tokenizer)
    return measure(BACKBONE, method, rows, 1, **options)  # type: ignore[arg-type]


def test_times_are_medians_of_repeats_and_then_spread_over_questions(clock: Clock) -> None:
    """One pass an answer; three rounds over three questions after two that do not count: 1, 2 and 3 s in the median."""
    rounds = [(1, 9, 3), (7, 2, 4), (0, 1, 0)]
    clock.seconds = iter([100.0, 100.0, *(float(second) for each in rounds for second in each)])
    made = direct(9, 5, 7, warmup=2, repeats=3)
    assert made.first_ms == made.full_ms
    assert vars(made.first_ms) == pytest.approx({"mean": 2000, "p10": 1200, "p90": 2800})
    assert made.positions == (9 + 5 + 7) / 3


def test_a_last_batch_may_be_smaller(clock: Clock) -> None:
    """Three questions two by two: the first two count with the time of their batch each, the third with its own."""
    clock.seconds = iter([1.0, 4.0])
    made = direct(9, 5, 7, warmup=0, repeats=1, batch_size=2)
    assert made.full_ms.mean == pytest.approx((1 + 1 + 4) * SECOND / 3)
    assert made.positions == (9 + 9 + 7) / 3


def test_questions_lie_at_even_distances(clock: Clock) -> None:
    clock.seconds = repeat(1.0)
    lengths = range(4, 24)
    assert direct(*lengths, questions=4, warmup=0, repeats=1).positions == (4 + 9 + 14 + 19) / 4
    assert direct(*lengths, questions=500, warmup=0, repeats=1).questions == 20


def test_the_result_says_how_it_was_measured() -> None:
    made = direct(9, 5, repeats=2)
    assert (made.repeats, made.batch_size, made.max_new_tokens) == (2, 1, 1)
    assert (made.threads, made.device, made.dtype) == (torch.get_num_threads(), "cpu", "float32")
    assert made.decode == "plain"
    assert 0 < made.first_ms.mean <= made.full_ms.mean
    assert made.questions == 2


def test_fixed_shapes_are_prepared_before_they_are_timed(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second a pass and a day a shape: questions of two shapes, answers of one token and of 17, which is another."""

    class Slow(fast._Room):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            clock.shown += 86_400

    monkeypatch.setattr(fast, "_Room", Slow)
    clock.seconds = repeat(1.0)
    method, rows = build_method(config("direct"), BACKBONE.tokenizer), [example(9), example(40)]
    made = measure(BACKBONE, method, rows, 17, warmup=0, repeats=1, decode="static")  # type: ignore[arg-type]
    plain = measure(BACKBONE, method, rows, 17, warmup=0, repeats=1)  # type: ignore[arg-type]
    assert clock.shown > 4 * 86_400 and counts(made) == counts(plain)
    assert made.first_ms == Times(1 * SECOND, 1 * SECOND, 1 * SECOND)
    assert plain.full_ms.mean <= made.full_ms.mean <= 17 * SECOND
    assert (made.decode, plain.decode) == ("static", "plain")


def test_in_fixed_shapes_the_answers_first_token_is_waited_for_through_the_chain(clock: Clock) -> None:
    """The mark is what the model says by itself in its first two tokens."""
    clock.seconds = repeat(1.0)
    method = build_method(config("cot"), BACKBONE.tokenizer)
    (written,) = method.answer(BACKBONE, [method.prompt(example(9))], 2)[0]
    method.answer_mark = tuple(written)
    made = measure(BACKBONE, method, [example(9)], 5, warmup=0, repeats=1, decode="static")  # type: ignore[arg-type]
    assert made.passes_to_first >= 3 and made.first_ms.mean == made.passes_to_first * SECOND


class Breaks(Direct):
    """Fails in the middle of an answer."""

    def answer(self, *arguments: Any, **options: Any) -> list[list[list[int]]]:
        super().answer(*arguments, **options)
        raise RuntimeError("interrupted")


def test_the_backbone_is_watched_only_while_it_answers() -> None:
    assert not BACKBONE._forward_hooks
    direct(9)
    assert not BACKBONE._forward_hooks
    with pytest.raises(RuntimeError, match="interrupted"):
        once(Breaks(config("direct"), BACKBONE.tokenizer), 9)
    assert not BACKBONE._forward_hooks


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of four updates with a test set and one of longer stories."""
    folder = tmp_path_factory.mktemp("latency")
    short = ("stages.0.duration=2 steps", "stages.1.duration=2 steps", "evaluation.controls=[]")
    tests = ("data.test=[tracking/test,tracking/ood]", "data.tracking.ood_steps=4", "data.tracking.max_steps=2")
    assert fit(tiny(folder, *short, *tests)) == 0
    return RunFolder(folder / "run")


def test_a_run_is_measured_once(finished: RunFolder) -> None:
    facts = latency_of_run(finished)
    assert finished.read("latency.json") == facts
    assert (facts["source"], facts["questions"], facts["max_new_tokens"]) == ("tracking/test", 8, 4)
    assert facts["weights"] == finished.read("selection.json")["final"]
    assert facts["hardware"]["cores"] >= 1
    assert facts["prefill_passes"] == facts["passes_to_first"] == 1
    write_json(finished.path / "latency.json", {**facts, "questions": 1})
    assert latency_of_run(finished)["questions"] == 1


def test_a_run_is_measured_as_it_decodes(finished: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file from before ways had names is of plain decoding; another way is measured anew."""
    before = latency_of_run(finished)
    assert before.pop("decode") == "plain"
    write_json(finished.path / "latency.json", before)
    assert latency_of_run(finished, decode="plain") == before
    facts = latency_of_run(finished, decode="static")
    assert finished.read("latency.json") == facts and facts["decode"] == "static"
    assert latency_of_run(finished) == facts
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="decode = 'graph': CUDA graphs need a GPU of NVIDIA"):
        latency_of_run(finished, decode="graph")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a run folder: it has no config\.yaml"):
        latency_of_run(RunFolder(tmp_path))
