"""From a backbone and encoded examples to predictions: all readouts of a question from one prefill.

Scoring runs in fp32 whatever training used, so that a score does not depend on the batch that a question shares.
"""

from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedTokenizerBase

from rim import answers
from rim.backbone.backbone import Backbone
from rim.backbone.decode import Prompt
from rim.data.encode import EncodedExample, EncodedSplit
from rim.errors import UserError
from rim.evaluation.controls import cache_edit
from rim.evaluation.predictions import Prediction, merge
from rim.methods.method import Method


class EvaluationError(UserError):
    """A question that cannot be answered by this model, or a control that does not apply."""


class Evaluator:
    """Answers and grades questions by one method.

    Args:
        method: prompts, decoding, and how an answer is read from generated text.
        tokenizer: turns tokens into text.
        max_new_tokens: longest answer, in tokens.
    """

    def __init__(self, method: Method, tokenizer: PreTrainedTokenizerBase, max_new_tokens: int) -> None:
        self.method, self.tokenizer, self.max_new_tokens = method, tokenizer, max_new_tokens

    def run(
        self,
        backbone: Backbone,
        split: EncodedSplit,
        batch_size: int,
        *,
        control: str | None = None,
        blocks: int | None = None,
    ) -> list[Prediction]:
        """Predictions for a whole split, in batches of questions of similar length."""
        batches = list(_batches(split, batch_size))
        return merge(self.predict(backbone, split, rows, control=control, blocks=blocks) for rows in batches)

    def predict(
        self,
        backbone: Backbone,
        split: EncodedSplit,
        rows: Sequence[int],
        *,
        objective: str | None = None,
        control: str | None = None,
        blocks: int | None = None,
    ) -> list[Prediction]:
        """Predictions for some rows of a split, answered together.

        Args:
            objective: read as this stage reads; None: as the finished model does.
            control: what is done to the blocks (see `controls.py`); None: nothing.
            blocks: number of memory blocks, where another than the configured one is asked for.

        Raises:
            EvaluationError: the control does not apply to the method, or a question does not fit the model.
        """
        if control is not None and not self.method.reads_blocks:
            raise EvaluationError(f"control '{control}' changes memory blocks, but this method has none")
        examples = [split[row] for row in rows]
        wanted = 0 if control == "removed" else blocks
        prompts = [self.method.prompt(example, objective, wanted) for example in examples]
        self._check_lengths(backbone, examples, prompts)
        with torch.autocast(backbone.device.type, enabled=False):
            tokens = self.method.answer(backbone, prompts, self.max_new_tokens, cache_edit(control))
        pairs = zip(examples, tokens, strict=True)
        return [self._grade(split.answer_rule, example, branches) for example, branches in pairs]

    def _grade(self, rule: str, example: EncodedExample, branches: list[list[int]]) -> Prediction:
        texts = self.tokenizer.batch_decode(branches, skip_special_tokens=True)
        found = tuple(self.method.read(text) for text in texts)
        return Prediction(
            id=example.id,
            question=example.text,
            gold=example.gold,
            steps=len(example.steps),
            answers=found,
            correct=tuple(answers.grade(rule, text, example.gold) for text in found),
            size=answers.size(rule, example.gold),
        )

    def _check_lengths(self, backbone: Backbone, examples: Sequence[EncodedExample], prompts: Sequence[Prompt]) -> None:
        limit = backbone.positions
        if limit is None:
            return
        for example, prompt in zip(examples, prompts, strict=True):
            trunk = int(prompt.trunk.flat.position_N.max()) + 1
            if trunk + len(prompt.cue) + self.max_new_tokens > limit:
                raise EvaluationError(
                    f"question '{example.id}' takes {trunk} positions with its blocks, and up to {self.max_new_tokens} "
                    f"tokens may follow, but the model has {limit}: use a backbone with more positions "
                    "(backbone.scratch.positions), or lower memory.blocks or evaluation.max_new_tokens"
                )


def _batches(split: EncodedSplit, size: int) -> Iterator[list[int]]:
    """Rows by length of question; a last batch of one joins the one before, so that swapping finds a donor."""
    order = [int(row) for row in split.question_lengths.argsort(kind="stable")]
    starts = list(range(0, len(order), size))
    if len(starts) > 1 and len(order) - starts[-1] == 1:
        starts.pop()
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        yield order[start:stop]
