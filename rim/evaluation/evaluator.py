"""From a backbone and encoded examples to predictions: all readouts of a question from one prefill.

Scoring runs without autocast, in the type of the weights. In fp32, as they are unless backbone.dtype=bf16, a score does
not depend on the batch that a question shares.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from transformers import PreTrainedTokenizerBase

from rim.backbone.backbone import Backbone
from rim.backbone.decode import CacheEdit, Prompt, greedy
from rim.backbone.fast import Decode
from rim.backbone.observer import Observer
from rim.backbone.sharding import in_step
from rim.base.errors import UserError
from rim.data.encode import EncodedExample
from rim.data.joined import Split
from rim.evaluation.controls import ALONE, cache_edit
from rim.evaluation.donors import by_length
from rim.evaluation.lengths import Lengths
from rim.evaluation.predictions import Prediction, marked, merge
from rim.methods.method import Method
from rim.settings import Stage


class EvaluationError(UserError):
    """A question that cannot be answered by this model."""


class Evaluator:
    """Answers and grades questions by one method.

    Args:
        method: prompts, decoding, and how an answer is read from generated text.
        lengths: of the longest answers, in tokens.
        decode: way of decoding, kept with all that it prepares; it has no part in controls and observed answers.
    """

    def __init__(
        self, method: Method, tokenizer: PreTrainedTokenizerBase, lengths: Lengths, decode: Decode = greedy
    ) -> None:
        self.method, self.tokenizer, self.lengths, self.decode = method, tokenizer, lengths, decode

    def run(
        self,
        backbone: Backbone,
        split: Split,
        batch_size: int,
        *,
        control: str | None = None,
        blocks: int | None = None,
    ) -> list[Prediction]:
        """Predictions for a whole split, in batches of questions of similar length."""
        parts = batches(split, batch_size)
        return merge(self.predict(backbone, split, rows, control=control, blocks=blocks) for rows in parts)

    def predict(
        self,
        backbone: Backbone,
        split: Split,
        rows: Sequence[int],
        *,
        stage: Stage | None = None,
        control: str | None = None,
        blocks: int | None = None,
        observe: Observer | None = None,
    ) -> list[Prediction]:
        """Predictions for some rows of a split, answered together, in the order of the rows.

        Args:
            stage: read as this stage reads; None: as the finished model does.
            control: what is done to the blocks, one of `controls`; None: nothing.
            blocks: number of memory blocks, where another than the configured one is asked for.
            observe: looks on as they are answered; not under a control.

        Raises:
            EvaluationError: a question does not fit the model.
        """
        examples = [split[row] for row in rows]
        asked = partial(self.prompts, backbone, stage=stage, blocks=0 if control == "removed" else blocks)
        prompts = asked(examples)
        edit = cache_edit(control, rows, split, lambda row: asked([split[row]])[0].final.trunk)
        read = self.read(backbone, prompts, stage, edit, observe)
        found = zip(rows, examples, read, strict=True)
        return [marked(unmarked(example, *each), split.rule_of(row)) for row, example, each in found]

    def read(
        self,
        backbone: Backbone,
        prompts: Sequence[Prompt],
        stage: Stage | None = None,
        edit: CacheEdit | None = None,
        observe: Observer | None = None,
    ) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """For each prompt the answers after its branches, and all that was generated for them."""
        tokens = self.tokens(backbone, prompts, stage, edit, observe)
        texts = [tuple(self.tokenizer.batch_decode(branches, skip_special_tokens=True)) for branches in tokens]
        return [(tuple(self.method.answer_in(text, stage) for text in each), each) for each in texts]

    def tokens(
        self,
        backbone: Backbone,
        prompts: Sequence[Prompt],
        stage: Stage | None = None,
        edit: CacheEdit | None = None,
        observe: Observer | None = None,
    ) -> list[list[list[int]]]:
        """For each prompt and branch the tokens that are generated, without the end.

        Where weights are shared out, all processes have to ask, with any prompts or none.
        """
        with torch.autocast(backbone.device.type, enabled=False), in_step(backbone):
            if not prompts:
                return []
            return self.method.answer(backbone, prompts, self.max_new_tokens(stage), edit, observe, self.decode)

    def max_new_tokens(self, stage: Stage | None = None) -> int:
        """Most tokens to generate as a stage answers, or as the finished model does."""
        return self.lengths.chain if self.method.writes_chain(stage) else self.lengths.answer

    def controls(self, split: Split) -> tuple[str, ...]:
        """Controls that apply to the method and to this split: foreign block states are those of another example."""
        return tuple(name for name in self.method.controls if name in ALONE or len(split) > 1)

    def prompts(
        self,
        backbone: Backbone,
        examples: Sequence[EncodedExample],
        stage: Stage | None = None,
        blocks: int | None = None,
    ) -> list[Prompt]:
        """What these questions are answered from, with room for the longest answer.

        Raises:
            EvaluationError: the model has too few positions; names the question, what it takes and the limit.
        """
        prompts = [self.method.prompt(example, stage, blocks) for example in examples]
        self._check_lengths(backbone, examples, prompts, self.max_new_tokens(stage))
        return prompts

    def _check_lengths(
        self, backbone: Backbone, examples: Sequence[EncodedExample], prompts: Sequence[Prompt], longest: int
    ) -> None:
        limit = backbone.positions
        if limit is None:
            return
        for example, prompt in zip(examples, prompts, strict=True):
            if prompt.positions + longest > limit:
                raise EvaluationError(
                    f"question '{example.id}' takes {prompt.positions} positions with its blocks, and up to {longest} "
                    f"tokens may follow, but the model has {limit}: use a backbone with more positions "
                    "(backbone.scratch.positions), or lower memory.blocks or evaluation.max_new_tokens"
                )


def unmarked(example: EncodedExample, answers: tuple[str, ...], written: Sequence[str]) -> Prediction:
    """All marks wrong; what was written is kept where it is more than the answers."""
    more = tuple(written) if answers != tuple(text.strip() for text in written) else ()
    return Prediction(
        id=example.id,
        question=example.text,
        gold=example.gold,
        steps=len(example.steps),
        answers=answers,
        correct=(False,) * len(answers),
        size="",
        texts=more,
    )


def batches(split: Split, size: int) -> Iterator[list[int]]:
    """Rows by length of question."""
    order = by_length(split)
    for start in range(0, len(order), size):
        yield order[start : start + size]
