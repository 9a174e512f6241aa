"""Counterfactuals of generated questions: solved again from their text, one sentence apart."""

import re
from random import Random

import pytest

from rim.data.registry import task
from tests.data.test_generated import config, examples, holders, values

READ = {"tracking": holders, "arithmetic": values}


def sentences(question: str) -> list[str]:
    return re.split(r"(?<=[.?])\s", question)


@pytest.mark.parametrize("name", READ)
def test_a_question_is_solved_and_varied_in_one_sentence(name: str) -> None:
    solver = task(name, config()).solver
    assert solver is not None
    for example in examples(name, "test", config(60, min_steps=2, max_steps=4)):
        told = solver.solve(example.question)
        assert told.values == tuple(str(value) for value in READ[name](example.question))[1:]
        assert (told.question, told.answer) == (example.question, example.answer)
        found = solver.vary(example.question, Random(0))
        assert {each.answer for each in found} > {told.answer} and any(each.values == told.values for each in found)
        for each in found[:20]:
            pairs = zip(sentences(example.question), sentences(each.question), strict=True)
            assert sum(own != other for own, other in pairs) == 1
            assert each.values == tuple(str(value) for value in READ[name](each.question))[1:]
            assert each.answer == each.values[-1]
