"""Compiled passes say what plain decoding says: on a GPU by its code generator, which takes long, and recorded."""

from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.device import equalities, jobs, second

LIMIT_SECONDS = 240.0
OPTIONS = {} if second.REAL else {"backend": "eager"}
"""Of torch.compile: a code generator for the CPU would take longer than all other tests."""


@pytest.mark.parametrize("shape", ["gpt2, full", "llama, lora"])
def test_compiled_passes_say_what_plain_decoding_says(process: ProcessPoolExecutor, shape: str) -> None:
    where = jobs.there if second.REAL else jobs.here
    found, plain = process.submit(where, equalities.compiled, shape, OPTIONS).result(LIMIT_SECONDS)
    assert found == plain
