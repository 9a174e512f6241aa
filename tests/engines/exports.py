"""Two short runs, from scratch and LoRA on a pretrained model, and their exports: what the engines are given."""

from dataclasses import dataclass
from pathlib import Path

from rim.data.prepare import training_texts
from rim.deployment.export import Wanted, export
from rim.deployment.model import load as load_run
from rim.evaluation.predictions import read_jsonl
from rim.runs.folder import RunFolder
from rim.settings.load import load
from tests.deployment.pretrained import write_base
from tests.swift import fit

QUESTIONS = 20
COMMON = (
    "data.tracking.people=3", "data.tracking.max_steps=3", "data.tracking.train_rows=2000",
    "data.tracking.test_rows=40", "data.validation_rows=40", "data.max_steps=3", "memory.blocks=3",
    "training.threads=1", "training.accelerator=cpu", "training.batch_size=32", "training.duration=60 steps",
    "training.tokens_per_line=160", "stages.*.learning_rate=3e-3", "stages.*.warmup=5 steps",
    "evaluation.controls=[]", "training.validate_every=60 steps",
)  # fmt: skip
SCRATCH = (
    "backbone.source=scratch", "backbone.training=full", "backbone.scratch.shape=llama", "backbone.scratch.layers=2",
    "backbone.scratch.width=128", "backbone.scratch.heads=2", "backbone.scratch.positions=256",
    "backbone.scratch.vocabulary=300",
)  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """An export, the run that it is of, the run's answers as texts, and its score."""

    name: str
    run: Path
    folder: Path
    questions: list[str]
    answers: list[str]
    score: float
    longest: int


def exports(folder: Path) -> list[Exported]:
    """Trained and exported now, by the code as it is."""
    base = folder / "base"
    write_base(base, training_texts(load([], COMMON).data), width=128, positions=256)
    lora = ("backbone.source=pretrained", f"backbone.name={base}", "backbone.training=lora", "backbone.lora.rank=8")
    return [_exported(folder, "scratch", SCRATCH), _exported(folder, "lora", lora)]


def _exported(folder: Path, name: str, own: tuple[str, ...]) -> Exported:
    places = (f"run.folder={folder}", f"run.name={name}", f"data.cache={folder}/cache")
    fit(load([], [*COMMON, *own, *places]))
    run, to = folder / name, folder / f"{name}-export"
    export(run, to, Wanted())
    rows = read_jsonl(run / "results" / "tracking-test.jsonl")
    questions = [row.question for row in rows][:QUESTIONS]
    model = load_run(run, device="cpu")
    answers = [reply.answer for reply in model.answer(questions)]
    score = RunFolder(run).read("results/tracking-test.json")["final"]["accuracy"]
    return Exported(name, run, to, questions, answers, score, model.evaluator.max_new_tokens())
