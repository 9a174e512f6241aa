"""Answers of chains of thought stand after a mark: a tokenizer that cannot write it is refused."""

import pytest

from rim.methods.registry import MethodError, build_method
from rim.settings import Config, Method, Stage, default_stages
from tests.data.tokenizers import byte_level, metaspace, word_piece

CHAINS = ("cot", "icot", "coconut", "pause_curriculum")
ANSWERS = ("memory_blocks", "looped", "direct", "repeat", "pause", "codi")


def config(method: str) -> Config:
    return Config(method=Method(name=method), stages=default_stages(method))  # type: ignore[arg-type]


@pytest.mark.parametrize("method", CHAINS)
def test_a_mark_that_does_not_come_back_is_refused(method: str) -> None:
    with pytest.raises(MethodError) as caught:
        build_method(config(method), word_piece())
    assert "what follows '####', and this tokenizer's tokens give it back as '# # # #'" in str(caught.value)
    assert "or a method that writes no chain (memory_blocks, direct, pause)" in str(caught.value)
    build_method(config(method), byte_level())
    build_method(config(method), metaspace())


@pytest.mark.parametrize("method", ANSWERS)
def test_methods_that_read_no_chain_need_no_mark(method: str) -> None:
    build_method(config(method), word_piece())


def test_a_latent_stage_alone_reads_no_chain() -> None:
    build_method(Config(method=Method(name="coconut"), stages=[Stage("a", "latent")]), word_piece())
