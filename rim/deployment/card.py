"""The model card of an export: metadata for the hub, how to call it, what was checked, and its limits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from rim.deployment.benchmarks import dataset_name, training_datasets
from rim.deployment.harness import task_name
from rim.deployment.model import Model
from rim.deployment.scored import Scored
from rim.report.provenance import commit_name
from rim.report.tables import table, with_bounds

TEXT = """\
---
{metadata}
---

# {name}

{what} It is an ordinary causal language model: its chat template writes everything that the model expects around a
question{blocks}. Answers are read greedily.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoModelForCausalLM.from_pretrained("{name}")
chat = [{{"role": "user", "content": {question!r}}}]
inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
print(tokenizer.decode(model.generate(**inputs)[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
```

- One user message, and no system message: the template refuses others.
- It takes transformers 5 or newer, which older versions cannot read the tokenizer of.
- A text that the template has rendered already holds all special tokens: encode it with `add_special_tokens=False`.
{chain}- Servers bring sampling settings of their own: set `temperature=0`, and where there is a repetition penalty, 1.

## Results

{results}

## How it was checked

The folder was loaded without RiM's code. On {check[prompts]} questions the chat template gave the token ids of the \
run, and {check[equal]} of {check[questions]} answers in {dtype} were the run's own in fp32, token by token. A memory \
token had the largest logit {check[memory_won]} times; `suppress_tokens` keeps it from being generated.

Made by RiM {version} from the checkpoint `{checkpoint}` of the run `{run}`{commit}. `rim.json` has all facts.
"""
CHAIN = "- The answer is what follows the last `####` of the generated text.\n"


def write_card(
    path: Path, name: str, model: Model, facts: dict[str, Any], sets: Sequence[Scored], question: str
) -> None:
    """Write README.md, with the scores of this export, and a question that its chat template accepts."""
    text = TEXT.format(
        metadata=_metadata(name, model, facts, sets).to_yaml().strip(),
        name=name,
        what=_what(model),
        blocks=_blocks(facts["prompt"]),
        question=question,
        chain=CHAIN if facts["chain"] else "",
        results=_results(model, sets, facts["dtype"]),
        check=facts["check"],
        dtype=facts["dtype"],
        version=facts["versions"]["rim"],
        checkpoint=facts["checkpoint"]["name"],
        run=facts["run"],
        commit=f" (commit {commit_name(facts['git'])})" if facts["git"] else "",
    )
    path.write_text(text, encoding="utf-8")


def _metadata(name: str, model: Model, facts: dict[str, Any], sets: Sequence[Scored]) -> ModelCardData:
    """What the hub reads; the licence and a base model that is a folder are asked for and never guessed."""
    backbone = model.config.backbone
    known = backbone.name if backbone.source == "pretrained" and not Path(backbone.name).exists() else None
    return ModelCardData(
        license=facts["license"],
        base_model=facts["base_model"] or known,
        datasets=training_datasets(model.config.data.train) or None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["rim", "latent-reasoning", facts["method"]],
        model_name=name,
        eval_results=_eval_results(sets) or None,
    )


def _eval_results(sets: Sequence[Scored]) -> list[EvalResult]:
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=dataset_name(each.source.partition("/")[0]),
            dataset_name=each.source.partition("/")[0],
            dataset_split=each.source.partition("/")[2],
            metric_type="accuracy",
            metric_value=each.share.value,
        )
        for each in sets
    ]


def _what(model: Model) -> str:
    method = model.config.method.name
    if method == "memory_blocks":
        return "A RiM model (arXiv 2605.30343), which reads memory blocks in place of a chain of thought."
    return f"A model trained by RiM with the method `{method}`."


def _blocks(prompt: dict[str, Any]) -> str:
    if not prompt["choice"]:
        return ""
    count = len(prompt["blocks"])
    return f", {count} memory blocks among it (`blocks=K` in `apply_chat_template` reads K of them, at most {count})"


def _results(model: Model, sets: Sequence[Scored], dtype: str) -> str:
    confidence = model.config.evaluation.confidence
    rows = [(each.source, *with_bounds(each.share, confidence), f"{each.share.count:,}") for each in sets]
    if not rows:
        return "The checkpoint, as it was exported, has not been scored on a test set."
    tasks = ", ".join(f"`{task_name(each)}`" for each in sets)
    again = f"`lm_eval/` has these test sets for lm_eval: {tasks}."
    if dtype != "fp32":
        again = f"The run was scored in fp32; these weights are {dtype}, and some answers may differ. {again}"
    return table(rows, ("test set", "accuracy", f"{confidence:.0%} interval", "examples")) + "\n\n" + again
