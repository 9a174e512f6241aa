"""Answers have the lengths of the data, and all entries answer the same questions on one model."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rim.backbone.decode import greedy
from rim.studies.benchmark.measure import Contender
from rim.studies.benchmark.settings import Benchmark, Entry, load_benchmark
from rim.studies.benchmark.workload import BenchmarkError, Job, Tokens, batches, build
from tests.studies.benchmark.fakes import BACKBONE, bench, job

SMALL = [
    "data.train=arithmetic/train", "data.validation=arithmetic/validation", "data.test=[arithmetic/test]",
    "data.arithmetic.train_rows=200", "data.arithmetic.test_rows=40", "backbone.source=scratch",
    "backbone.training=full", "backbone.scratch.shape=llama", "backbone.scratch.layers=2", "backbone.scratch.width=32",
    "backbone.scratch.vocabulary=400",
]  # fmt: skip
METHODS = {
    "direct": ["method.name=direct"],
    "rim": ["method.name=memory_blocks"],
    "inserted": ["method.name=memory_blocks", "memory.insertion_layer=1"],
    "codi": ["method.name=codi"],
    "own": ["method.name=pause", "memory.tokens=per_slot"],
    "results": ["method.name=cot", "data.steps=results"],
    "cot": ["method.name=cot"],
}


def small(folder: Path, *names: str, **changes: Any) -> Benchmark:
    made = load_benchmark([], ["name=made", "entries=[{name: direct}]"])
    made.entries = [Entry(name, METHODS[name]) for name in names or METHODS]
    made.overrides = [*SMALL, f"data.cache={folder}"]
    for name, value in {"questions": 4, **changes}.items():
        setattr(made, name, value)
    return made


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """All entries, on a model with more rows than its tokenizer fills."""
    folder = tmp_path_factory.mktemp("workload")
    return {each.name: each for each in build(small(folder, vocabulary=700, dtype="bf16"))}


def test_a_direct_answer_is_its_tokens_and_the_end() -> None:
    assert job("direct", "direct", 9).tokens([0]) == Tokens(1, 2 + 1)


def test_a_chain_is_its_steps_their_separators_and_the_mark() -> None:
    made = job("cot", "cot", 9)
    chain = 3 + 2 + 4 + 3 * len(made.method.separator) + len(made.method.answer_mark)
    assert made.tokens([0]) == Tokens(chain + 1, chain + 3)


def test_the_longest_of_a_batch_decides() -> None:
    short, long = (job("cot", "cot", 9, steps=steps) for steps in ((1,), (5, 6)))
    both = Job("cot", short.method, BACKBONE, short.examples + long.examples)
    assert both.tokens([0, 1]) == long.tokens([0]) != short.tokens([0])


def test_latents_and_blocks_generate_what_a_direct_answer_does() -> None:
    """Coconut gives the mark and writes none, so nobody pays for it."""
    for method in ("memory_blocks", "repeat", "coconut", "codi", "pause", "looped", "icot"):
        assert job(method, method, 9).tokens([0]) == Tokens(1, 3)


def answered(made: Job, rows: list[int], tokens: int) -> list[list[list[int]]]:
    """What is generated under the clock: tokens by question and branch."""
    found: list[list[list[int]]] = []

    def decode(*given: Any, **options: Any) -> list[list[list[int]]]:
        found.extend(greedy(*given, **options))
        return found

    Contender(made, "plain", decode)(rows, tokens)
    return found


def test_only_the_last_answer_is_read() -> None:
    (row,) = answered(job("rim", "memory_blocks", 9), [0], 2)
    assert len(row) == 1


def test_batches_are_whole_and_at_least_one() -> None:
    made = bench(questions=8)
    assert batches(made, 1) == [[row] for row in range(8)]
    assert batches(made, 3) == [[0, 1, 2], [3, 4, 5]]
    assert batches(made, 32) == [list(range(32))]


def test_all_entries_answer_the_same_questions(jobs: dict[str, Job]) -> None:
    texts = {name: [example.text for example in each.examples] for name, each in jobs.items()}
    assert len({tuple(each) for each in texts.values()}) == 1
    assert len(set(texts["direct"])) == 4
    assert jobs["results"].tokens([0]).full < jobs["cot"].tokens([0]).full


def test_one_model_serves_all_entries_and_each_has_its_own_modules(jobs: dict[str, Job]) -> None:
    assert len({id(each.backbone.model) for each in jobs.values()}) == 1
    assert {name for name, each in jobs.items() if len(each.backbone.extra)} == {"inserted", "codi"}
    assert jobs["inserted"].backbone.insertion is not None and jobs["direct"].backbone.insertion is None
    assert {weight.dtype for each in jobs.values() for weight in each.backbone.parameters()} == {torch.bfloat16}
    assert jobs["direct"].backbone.embed(torch.tensor([699])).shape == (1, 32)


@pytest.mark.parametrize("name", METHODS)
def test_an_answer_is_as_long_as_it_has_to_be(name: str, jobs: dict[str, Job]) -> None:
    """No token ends it, whatever the random model says."""
    each = jobs[name]
    for rows in ([0], [1, 3]):
        longest = each.tokens(rows).full
        answers = answered(each, rows, longest)
        assert [len(branch) for row in answers for branch in row] == [longest] * len(rows)


def test_too_few_questions_are_refused(tmp_path: Path) -> None:
    text = r"arithmetic/test has 40 questions, and 64 are to be asked \(questions = 4, batch_sizes = \[1, 64\]\): lower"
    with pytest.raises(BenchmarkError, match=text):
        build(small(tmp_path, "direct", batch_sizes=[1, 64]))


def test_a_matrix_smaller_than_the_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"vocabulary = 300: the tokenizer has \d+ entries; set at least as many"):
        build(small(tmp_path, "direct", vocabulary=300))


def test_adapters_keep_the_rows_that_there_are(tmp_path: Path) -> None:
    made = small(tmp_path, "direct", vocabulary=700)
    made.overrides = [*made.overrides, "backbone.training=lora"]
    with pytest.raises(
        BenchmarkError, match=r"vocabulary = 700: adapters keep the rows that there are; set backbone.training=full"
    ):
        build(made)


def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BenchmarkError, match="device = 'gpu': there is no GPU that torch can use; set device=cpu"):
        build(small(tmp_path, "direct", device="gpu"))


def test_entries_that_are_asked_different_questions_are_refused(tmp_path: Path) -> None:
    made = small(tmp_path, "direct", "cot")
    made.entries[1] = Entry("other", [*METHODS["cot"], "data.arithmetic.test_rows=30"])
    with pytest.raises(
        BenchmarkError,
        match=r"^entry 'direct' is asked 'arithmetic/test/10', and 'other' 'arithmetic/test/7', or the same row",
    ):
        build(made)
