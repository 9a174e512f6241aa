"""Refuses examples that do not fit the model, before it is trained."""

from rim.base.errors import UserError
from rim.data.encode import EncodedExample
from rim.data.joined import Split
from rim.training.prepared import Prepared


class LengthError(UserError):
    """An example that is longer than the model."""


def longest_examples(train: Split) -> list[EncodedExample]:
    """Examples with the longest questions, the most steps and the most tokens, 64 of each in turn, none twice."""
    tokens = train.question_lengths + train.chain_lengths(0)
    sizes = (train.question_lengths, train.steps_counts, tokens)
    orders = ((-each).argsort(kind="stable")[:64] for each in sizes)
    return [train[int(row)] for row in dict.fromkeys(row for pair in zip(*orders, strict=True) for row in pair)]


def check_lengths(prepared: Prepared) -> None:
    """Refuse training examples, and questions with their longest answers, that do not fit the model.

    Raises:
        LengthError: names the example, its positions, the limit, and the settings that change either.
        EvaluationError: the same of a question that is held out or a test's.
    """
    limit = prepared.backbone.positions
    if limit is None:
        return
    for stage in prepared.plan.stages:
        for example in longest_examples(prepared.splits.train):
            tree = prepared.method.layout(example, stage.progress(0))
            positions = int(tree.flat.position_N.max()) + 1
            if positions > limit:
                raise LengthError(
                    f"training example '{example.id}' takes {positions} positions in stage '{stage.stage.name}', but "
                    f"the model has {limit}: lower data.max_question_tokens (now "
                    f"{prepared.config.data.max_question_tokens}; longer questions are dropped and counted), "
                    "memory.blocks or data.max_steps, or use a model with more positions"
                )
    _check_reading(prepared, limit)
    for stage in prepared.plan.stages:
        prepared.evaluator.prompts(prepared.backbone, longest_examples(prepared.splits.validation), stage.stage)
    for test in prepared.splits.tests.values():
        prepared.evaluator.prompts(prepared.backbone, longest_examples(test))


def _check_reading(prepared: Prepared, limit: int) -> None:
    """Refuse a number of blocks to read with that no question would have room for, before it has been trained for."""
    for blocks in prepared.config.evaluation.blocks:
        prompt = prepared.method.prompt(prepared.splits.train[0], blocks=blocks)
        positions = prompt.positions + prepared.evaluator.max_new_tokens()
        if positions > limit:
            raise LengthError(
                f"evaluation.blocks names {blocks}: with so many blocks '{prepared.splits.train[0].id}' and its answer "
                f"take up to {positions} positions, but the model has {limit}: read with fewer blocks, or use a model "
                "with more positions"
            )
