"""Who answers when, what is counted, and what it takes."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from rim.backbone.decode import greedy
from rim.backbone.fast import FastDecoder
from rim.studies.benchmark.bound import Bound, bound_of, measured_bandwidth, weight_bytes
from rim.studies.benchmark.measure import Case, Contender, Seconds, measure, memory_of, one_round, rotated, work_of
from rim.studies.benchmark.workload import Job
from tests.models import tiny_backbone
from tests.studies.benchmark.fakes import BACKBONE, bench, job


def test_each_round_begins_with_another() -> None:
    assert [rotated("abc", number) for number in range(4)] == [[*"abc"], [*"bca"], [*"cab"], [*"abc"]]


class Says(Contender):
    """Takes as many seconds as its name says for a token, and notes that it was called."""

    calls: list[tuple[str, tuple[int, ...], int]] = []  # noqa: RUF012 - shared on purpose

    def __call__(self, batch: Sequence[int], tokens: int) -> float:
        self.calls.append((self.job.name, tuple(batch), tokens))
        return float(self.job.name) * tokens


@pytest.fixture
def calls() -> list[tuple[str, tuple[int, ...], int]]:
    Says.calls.clear()
    return Says.calls


def says(*names: str, method: str = "direct") -> list[Contender]:
    return [Says(job(name, method, 9, 8, 7, 6), "plain", greedy) for name in names]


def test_entries_take_turns_at_every_batch(calls: list[Any]) -> None:
    """At batch size 1 over two questions and then at 2; every batch and every round begins with another entry."""
    made = bench("1", "2", "3", questions=2, batch_sizes=[1, 2])
    one_round(made, says("1", "2", "3"), 0, None)
    begun = [(name, batch) for name, batch, tokens in calls if tokens == 3]
    assert begun == [
        *[("1", (0,)), ("2", (0,)), ("3", (0,))],
        *[("2", (1,)), ("3", (1,)), ("1", (1,))],
        *[("1", (0, 1)), ("2", (0, 1)), ("3", (0, 1))],
    ]
    calls.clear()
    one_round(made, says("1", "2", "3"), 1, None)
    assert [name for name, _, tokens in calls if tokens == 3][:3] == ["2", "3", "1"]


def test_a_round_gives_means_over_its_batches(calls: list[Any]) -> None:
    found = one_round(bench("1", "2", questions=2), says("1", "2"), 0, None)
    assert found == {Case("1", "plain", 1): Seconds(1, 1, 3, 2), Case("2", "plain", 1): Seconds(2, 2, 6, 2)}
    assert found[Case("2", "plain", 1)].token == 2
    assert Seconds(1, 1, 1, 0).token is None


def test_a_chain_is_timed_to_its_first_token_to_the_answer_and_to_the_end(calls: list[Any]) -> None:
    (contender,) = says("1", method="cot")
    tokens = contender.job.tokens([0])
    found = one_round(bench("1", questions=1), [contender], 0, None)[Case("1", "plain", 1)]
    assert found == Seconds(1, tokens.first, tokens.full, tokens.full - 1) and found.token == 1


def test_rounds_of_warm_up_do_not_count() -> None:
    said: list[str] = []
    made = bench("direct", "rim", questions=2, rounds=3, warmup=2, batch_sizes=[1, 2], decode=["plain", "static"])
    jobs = [job("direct", "direct", 9, 5), job("rim", "memory_blocks", 9, 5)]
    found = measure(made, jobs, said.append)
    assert {len(rounds) for rounds in found.seconds.values()} == {3}
    assert found.seconds.keys() == found.memory.keys()
    assert {case[1:] for case in found.seconds} == {(way, size) for way in ("plain", "static") for size in (1, 2)}
    assert [text.partition(":")[0] for text in said] == [
        "counted 2 entries", "warm-up", "warm-up", *(f"round {number} of 3" for number in (1, 2, 3)),
    ]  # fmt: skip
    assert min(each.first for rounds in found.seconds.values() for each in rounds) > 0


def counted(made: Job, rows: Sequence[int] = (0,)) -> tuple[float, ...]:
    found = work_of(made, rows)
    return (found.passes_to_first, found.passes, found.positions_to_first, found.positions, found.tokens)


def test_passes_and_positions() -> None:
    """A question of 9; 4 blocks of 4; coconut's 6 latents, two marks around them and the answer's mark."""
    mark = len(job("cot", "cot", 9).method.answer_mark)
    chain = 3 + 2 + 4 + 3 + mark
    assert counted(job("direct", "direct", 9)) == (1, 3, 9, 11, 3)
    assert counted(job("rim", "memory_blocks", 9)) == (1, 3, 25, 27, 3)
    assert counted(job("coconut", "coconut", 9)) == (7, 9, 17 + mark, 19 + mark, 3)
    assert counted(job("looped", "looped", 9)) == (6, 8, 9 + 6 * 16, 11 + 6 * 16, 3)
    assert counted(job("cot", "cot", 9)) == (1 + chain, chain + 3, 9 + chain, 11 + chain, chain + 3)


def test_counts_are_means_over_questions() -> None:
    assert counted(job("direct", "direct", 9, 4), [0, 1]) == (1, 3, 6.5, 8.5, 3)


def test_operations_are_those_of_the_matrices() -> None:
    """Two for each weight and position, for the output matrix only where a token is predicted, and attention's own."""
    weights = sum(each.numel() for name, each in BACKBONE.named_parameters() if "proj" in name)
    output, layers, width = 300 * 32, 3, 32
    linear = 2 * (weights * 11 + output * 3)
    attention = 2 * 2 * layers * width * (9 * 9 + 10 + 11)
    assert work_of(job("direct", "direct", 9), [0]).flops == linear + attention


def test_memory_on_a_cpu_is_weights_and_the_cache_at_its_largest() -> None:
    """3 layers of keys and values, 2 heads of width 8; 9 columns and 2 generated tokens that are read; a batch of 2."""
    weights = sum(each.nbytes for each in BACKBONE.parameters())
    made = job("direct", "direct", 9, 5)
    column = 3 * 2 * 2 * 8 * 4
    assert memory_of(Contender(made, "plain", greedy), [0]) == weights + 11 * column
    assert memory_of(Contender(made, "plain", greedy), [0, 1]) == weights + 2 * 11 * column
    assert memory_of(Contender(made, "static", FastDecoder("static")), [0]) == weights + (32 + 16 + 16) * column
    assert not BACKBONE._forward_hooks


def test_weights_that_a_pass_reads() -> None:
    """Tied tables are read as the output; the others are looked up in, and only the output is read."""
    untied = tiny_backbone("llama", tie_word_embeddings=False)
    assert weight_bytes(BACKBONE) == weight_bytes(untied) == sum(each.nbytes for each in BACKBONE.parameters())


def test_the_bound_is_bytes_over_bandwidth(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Bound(2_500_000_000, 4e12, measured=False).ms == 0.625
    stated = bound_of(BACKBONE, 2.0)
    assert (stated.bandwidth, stated.measured, stated.bytes) == (2e9, False, weight_bytes(BACKBONE))
    times = iter([0.0, 4.0, 0.0, 2.0, 0.0, 3.0])
    monkeypatch.setattr("rim.evaluation.waiting.perf_counter", lambda: next(times))
    monkeypatch.setattr("rim.studies.benchmark.bound.MATRIX", 2**20)
    assert measured_bandwidth(torch.device("cpu"), repeats=3) == 2**20 / 2.0
