"""Score any Hugging Face folder that has a chat template, an export or an ordinary one, as a run is scored.

A question is one user message. Decoding is greedy and in fp32, whatever the folder's own settings are, so that scores
of folders and runs compare.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from rim.backbone.pretrained import fetch_tokenizer, load_pretrained
from rim.base.quiet import quiet_libraries
from rim.data.encode import EncodedExample
from rim.data.example import MARK, after_mark
from rim.data.form import encode
from rim.data.joined import Split
from rim.data.prepare import prepare_tests
from rim.deployment.errors import ExportError
from rim.evaluation.device import scoring_device
from rim.evaluation.evaluator import batches, unmarked
from rim.evaluation.predictions import Prediction, marked, merge
from rim.evaluation.scoring import score_source, write_result
from rim.runs.environment import use_threads
from rim.settings import Backbone, Evaluation
from rim.settings.load import load

LONGEST = 512
"""Most tokens of an answer where neither settings nor folder name a number; at most half of the model's positions."""


def score_folder(folder: Path, overrides: Sequence[str], sources: Sequence[str]) -> None:
    """Score a folder on test sources, write `results/` in it, and print the report.

    Args:
        overrides: of `data.*`, `evaluation.*`, `training.accelerator` and `training.threads`.
        sources: test sources, `task/split`.

    Raises:
        UserError: no such folder, source or setting, or a question that the folder cannot be asked.
    """
    _require_folder(folder, sources)
    quiet_libraries()
    config = load([], overrides)
    use_threads(config.training.threads)
    named = Backbone(name=str(folder))
    tokenizer, model = fetch_tokenizer(named), load_pretrained(named)
    model.to(scoring_device(config.training.accelerator))  # type: ignore[arg-type]
    tests = prepare_tests(replace(config.data, test=list(sources)), tokenizer)
    asker = FolderEvaluator(folder, tokenizer, model, config.evaluation, tests.values())
    facts = {"name": folder.resolve().name, "max_new_tokens": asker.max_new_tokens}
    for source, split in tests.items():
        result = score_source(asker, model, source, split, config.evaluation)
        file = write_result(result, folder / "results", facts)
        print(f"{result.report(config.evaluation.confidence)}\n\nFolder: {folder}. Predictions: {file}\n")


def _require_folder(folder: Path, sources: Sequence[str]) -> None:
    if not (folder / "config.json").is_file():
        raise ExportError(
            f"--export {folder} is no folder of a model: it has no config.json. Name one that rim.export or "
            "save_pretrained has written"
        )
    if not sources:
        raise ExportError("--export has no test sets of its own: name some, such as --test gsm8k/test")


class FolderEvaluator:
    """Answers and grades questions by a folder's own chat template.

    Args:
        folder: its `rim.json`, if any, says whether answers follow a chain of thought, and how many blocks there are.
        model: its settings of generation are replaced by greedy ones.
        splits: an answer may be as long as the longest right one of these, though the folder says less, as in
            `rim.evaluate --run`.

    Raises:
        ExportError: there is no chat template, or `evaluation.blocks` names blocks that it cannot write.
    """

    def __init__(
        self,
        folder: Path,
        tokenizer: PreTrainedTokenizerBase,
        model: PreTrainedModel,
        settings: Evaluation,
        splits: Collection[Split],
    ) -> None:
        self.folder, self.tokenizer = folder, tokenizer
        about = folder / "rim.json"
        self.about: dict[str, Any] = json.loads(about.read_text(encoding="utf-8")) if about.exists() else {}
        self._check_template(settings.blocks)
        self.positions: int | None = getattr(model.config, "max_position_embeddings", None)
        own = getattr(model.generation_config, "max_new_tokens", None)
        longest = max(own, *map(self._longest, splits)) if own else min(LONGEST, (self.positions or 2 * LONGEST) // 2)
        self.max_new_tokens: int = settings.max_new_tokens or longest
        tokenizer.padding_side = "left"
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        model.generation_config = self._greedy(model.generation_config)

    def run(
        self, model: PreTrainedModel, split: Split, batch_size: int, *, control: str | None = None,
        blocks: int | None = None,
    ) -> list[Prediction]:  # fmt: skip
        """Predictions for a whole split, in batches of questions of similar length; no control applies."""
        return merge(self._predict(model, split, rows, blocks) for rows in batches(split, batch_size))

    def controls(self, split: Split) -> tuple[str, ...]:
        """None: what an engine reads cannot be changed."""
        return ()

    def _longest(self, split: Split) -> int:
        """Tokens of the longest right answer and its end; of a whole chain, whose separators count as one token."""
        if not self.about.get("chain", False):
            return int(split.longest.answer) + 1
        (mark,) = encode([f"{MARK} "], self.tokenizer)
        return int(split.chain_lengths(1).max()) + len(mark) + 1

    def _predict(
        self, model: PreTrainedModel, split: Split, rows: Sequence[int], blocks: int | None
    ) -> list[Prediction]:
        examples = [split[row] for row in rows]
        texts = self._answered(model, examples, {} if blocks is None else {"blocks": blocks})
        chain = self.about.get("chain", False)
        read = [after_mark(text) if chain else text.strip() for text in texts]
        pairs = zip(examples, read, texts, strict=True)
        plain = [unmarked(example, (answer,), (text,)) for example, answer, text in pairs]
        return [marked(each, split.rule_of(row)) for row, each in zip(rows, plain, strict=True)]

    @torch.no_grad()
    def _answered(self, model: PreTrainedModel, examples: Sequence[EncodedExample], more: dict[str, Any]) -> list[str]:
        prompts = [self._rendered(example, more) for example in examples]
        inputs = self.tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(model.device)
        tokens = model.generate(**inputs)[:, inputs["input_ids"].shape[1] :]  # type: ignore[operator]
        texts: list[str] = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return texts

    def _rendered(self, example: EncodedExample, more: dict[str, Any]) -> list[int]:
        """Token ids of a prompt."""
        chat = [{"role": "user", "content": example.text}]
        try:
            ids: Any = self.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False, **more)
        except TemplateError as error:
            raise ExportError(f"the chat template of {self.folder} refuses question '{example.id}': {error}") from error
        if self.positions is not None and len(ids) + self.max_new_tokens > self.positions:
            raise ExportError(
                f"question '{example.id}' takes {len(ids)} positions, and up to {self.max_new_tokens} tokens may "
                f"follow, but the model has {self.positions}: lower evaluation.max_new_tokens"
            )
        return list(ids)

    def _check_template(self, blocks: Sequence[int]) -> None:
        if not self.tokenizer.chat_template:
            raise ExportError(
                f"{self.folder} has no chat template, so it is not known how a question is put to it: add a "
                "chat_template.jinja, as models that answer questions have"
            )
        prompt = self.about.get("prompt", {"choice": False, "blocks": []})
        most = len(prompt["blocks"]) if prompt["choice"] else 0
        if beyond := [number for number in blocks if number > most]:
            raise ExportError(f"evaluation.blocks={beyond}: the chat template of {self.folder} writes {most} at most")

    def _greedy(self, own: Any) -> GenerationConfig:
        """Greedy decoding; of the folder's settings only ends and suppressed tokens stay."""
        end = own.eos_token_id if own.eos_token_id is not None else self.tokenizer.eos_token_id
        return GenerationConfig(
            do_sample=False,
            max_new_tokens=self.max_new_tokens,
            eos_token_id=end,
            pad_token_id=self.tokenizer.pad_token_id,
            suppress_tokens=own.suppress_tokens,
        )
