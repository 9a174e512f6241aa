"""The model of a run, ready to answer: what `rim.load` returns."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import starmap
from pathlib import Path
from threading import Lock
from typing import Any, overload

import torch

from rim.backbone.backbone import Backbone
from rim.backbone.decode import Prompt
from rim.backbone.observer import Observer
from rim.base.errors import UserError
from rim.base.quiet import quiet_libraries
from rim.data.store import EncodedExample
from rim.data.tokens import tokenise_question
from rim.deployment.encode import encoded
from rim.deployment.reply import Readout, Reply
from rim.evaluation.device import scoring_device
from rim.evaluation.finished import evaluator_of
from rim.runs.environment import use_threads
from rim.runs.folder import RunFolder
from rim.settings import Config
from rim.settings.checks.memory import WITH_BLOCKS


class AskError(UserError):
    """A question, or a way of asking it, that the model has no answer to."""


def load(run: str | Path, checkpoint: str | None = None, device: str | None = None) -> "Model":
    """Load the model of a run folder; nothing of its data is read.

    Args:
        run: the run folder, such as `runs/demo`.
        checkpoint: a file of its `weights/`, without the suffix; None: the one that the validation set chose.
        device: `cpu`, `cuda` or `mps`; None: as `training.accelerator` of the run says.

    Raises:
        RunError: there is no such run, or none of its checkpoints has been scored yet.
        CheckpointError: there is no such checkpoint, or it no longer gives the logits that it gave.
    """
    quiet_libraries()
    folder = RunFolder(Path(run))
    config = folder.config_as_saved()
    use_threads(config.training.threads)
    backbone, about = folder.load_backbone(checkpoint)
    where = scoring_device(config.training.accelerator) if device is None else torch.device(device)
    return Model(folder, config, backbone.to(where), about)


class Model:
    """Answers questions as `rim.evaluate` does, in fp32; `about` has name, stage and update of the checkpoint.

    Safe to share between threads, which are answered one after the other.
    """

    def __init__(self, folder: RunFolder, config: Config, backbone: Backbone, about: dict[str, Any]) -> None:
        self.folder, self.config, self.backbone, self.about = folder, config, backbone, about
        self.evaluator = evaluator_of(folder, config, backbone)
        self._alone = Lock()  # a pass hangs hooks on the model, and a tokenizer remembers how it was called last

    @overload
    def answer(self, questions: str, blocks: int | None = None) -> Reply: ...  # type: ignore[overload-overlap]
    @overload
    def answer(self, questions: Sequence[str], blocks: int | None = None) -> list[Reply]: ...
    def answer(self, questions: str | Sequence[str], blocks: int | None = None) -> Reply | list[Reply]:
        """The answer to a question, or a list of answers to several, which are read in batches.

        Args:
            questions: one text, or several.
            blocks: number of memory blocks; None: `memory.blocks` of the run.

        Raises:
            AskError: a question is empty or no text, or blocks are named and the method has none.
            EvaluationError: a question does not fit the model.
        """
        if isinstance(questions, str):
            return self.answer([questions], blocks)[0]
        size = self.config.evaluation.batch_size
        batches = [questions[start : start + size] for start in range(0, len(questions), size)]
        return [reply for batch in batches for reply in self._answered(batch, blocks)]

    def readouts(self, question: str, blocks: int | None = None) -> tuple[Readout, ...]:
        """What the model answers after each of its blocks, all from one pass; one entry where the method has none.

        Raises:
            AskError, EvaluationError: see `answer`.
        """
        observe = Observer()
        with self._alone:
            prompts = self._prompts([question], blocks)
            ((answers, _),) = self.evaluator.read(self.backbone, prompts, observe=observe)
        last = self._blocks(blocks)
        numbers = range(last - len(answers) + 1, last + 1)
        return tuple(starmap(Readout, zip(numbers, answers, observe.probability_BK[0].tolist(), strict=True)))

    def steps(self, question: str, blocks: int | None = None) -> tuple[str, ...]:
        """What the checkpoint of the grounding stage reads after each block: the steps, and the answer at the end.

        Raises:
            AskError: the run has no grounding stage, or has not kept its checkpoint. Or as `answer`.
            EvaluationError: the question does not fit the model.
        """
        with self._alone:
            self._blocks(blocks)
            grounding = self._grounding
            prompts = grounding.evaluator.prompts(grounding.backbone, [self._encoded(question)], blocks=blocks)
            ((texts, _),) = grounding.evaluator.read(grounding.backbone, prompts)
        return texts

    def prompt(self, question: str, blocks: int | None = None) -> Prompt:
        """What the final answer is read from.

        Raises:
            AskError, EvaluationError: see `answer`.
        """
        with self._alone:
            return self._prompts([question], blocks)[0].final

    @cached_property
    def _grounding(self) -> "Model":
        """The same run at the end of its grounding, with room for the longest step."""
        stages = [stage.name for stage in self.config.stages if stage.objective == "grounding"]
        kept = [f"{name}-{which}" for name in reversed(stages) for which in ("best", "last")]
        name = next((name for name in kept if (self.folder.weights / f"{name}.safetensors").exists()), None)
        if name is None:
            raise AskError(
                f"{self.folder.path} has no checkpoint of a grounding stage, so blocks cannot be read as steps; "
                f"its stages: {', '.join(stage.name for stage in self.config.stages)}"
            )
        model = Model(self.folder, self.config, *self.folder.load_backbone(name))
        model.backbone.to(self.backbone.device)
        lengths = model.evaluator.lengths
        model.evaluator.lengths = replace(lengths, answer=lengths.chain)
        return model

    def _answered(self, questions: Sequence[str], blocks: int | None) -> Iterator[Reply]:
        with self._alone:
            begin = time.perf_counter()
            prompts = [prompt.final for prompt in self._prompts(questions, blocks)]
            read = self.evaluator.read(self.backbone, prompts)
            each = 1e3 * (time.perf_counter() - begin) / len(questions)
        for question, ((answer,), (text,)) in zip(questions, read, strict=True):
            chain = text.strip() if self.evaluator.method.writes_chain() else ""
            yield Reply(question, answer, chain, each)

    def _prompts(self, questions: Sequence[str], blocks: int | None) -> list[Prompt]:
        self._blocks(blocks)
        return self.evaluator.prompts(self.backbone, [self._encoded(text) for text in questions], blocks=blocks)

    def _encoded(self, question: str) -> EncodedExample:
        if any("\ud800" <= sign <= "\udfff" for sign in question):  # half a pair, or a byte that was no text
            raise AskError(f"the question {question!r} holds signs that are no text: write it in UTF-8")
        ids = tokenise_question(question, self.backbone.tokenizer, self.config.data)
        if not question.strip() or not ids:
            raise AskError(f"the question {question!r} is empty: ask one in words")
        return encoded(question, ids)

    def _blocks(self, blocks: int | None) -> int:
        """Number of blocks that answers are read after; 0 where the method has none."""
        name = self.config.method.name
        if blocks is None:
            return self.config.memory.blocks if name in WITH_BLOCKS else 0
        if name not in WITH_BLOCKS:
            raise AskError(f"blocks={blocks}: method {name} has no blocks; those that have: {', '.join(WITH_BLOCKS)}")
        if blocks < 1:
            raise AskError(f"blocks={blocks}: an answer is read after at least one block")
        return blocks
