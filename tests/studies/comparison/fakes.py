"""Finished runs that nobody has trained: folders with the files that a comparison reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rim.base.files import write_json
from rim.evaluation.metrics import score
from rim.evaluation.predictions import Prediction
from rim.evaluation.scoring import TestResult, write_result
from rim.settings.load import load, save

ENVIRONMENT = {
    "versions": {"python": "3.11.7", "torch": "2.13.0", "transformers": "5.23.0", "lightning": "2.6.6", "rim": "0.1.0"},
    "git": {"commit": "0123456789abcdef", "dirty": False},
    "hardware": {"cpu": "Slow CPU", "cores": 2, "memory_gib": 4.0, "gpus": []},
    "threads": 1,
    "command": "python -m rim.fit",
}
LATENCY = {
    "source": "tracking/test", "weights": "final", "first_ms": {"mean": 4.0, "p10": 3.0, "p90": 5.0},
    "full_ms": {"mean": 8.0, "p10": 7.0, "p90": 9.5}, "prefill_passes": 1.0, "passes_to_first": 3.0, "passes": 5.0,
    "positions_to_first": 40.0, "positions": 42.0, "tokens": 3.0, "questions": 32, "repeats": 3, "batch_size": 1,
    "max_new_tokens": 4, "threads": 1, "device": "cpu", "dtype": "float32",
}  # fmt: skip


def predictions(source: str, marks: Sequence[Sequence[bool]], steps: Sequence[int] | None = None) -> list[Prediction]:
    """One example for each row of marks, right after each block as the row says."""
    return [
        Prediction(
            f"{source}/{n}", "q", str(n), steps[n] if steps else 1 + n % 2, ("?",) * len(row), tuple(row), "1 digit"
        )
        for n, row in enumerate(marks)
    ]


def fake_run(
    folder: Path,
    marks: dict[str, Sequence[Sequence[bool]]],
    *overrides: str,
    controls: dict[str, Sequence[Sequence[bool]]] | None = None,
    training: dict[str, Any] | None = None,
    environment: dict[str, Any] | None = None,
    latency: dict[str, Any] | None = LATENCY,
    steps: Sequence[int] | None = None,
) -> Path:
    """A finished run in `folder`.

    Args:
        marks: test source → for each example whether it is right after each block.
        overrides: settings beyond name, folder and test sources.
        controls: name → marks of the same form, of every source.
    """
    sources = ",".join(marks)
    own = [f"run.folder={folder.parent}", f"run.name={folder.name}", f"data.test=[{sources}]"]
    folder.mkdir(parents=True)
    save(load([], [*own, *overrides]), folder / "config.yaml")
    accuracy = {}
    for source, rows in marks.items():
        found = predictions(source, rows, steps)
        changed = {name: score(predictions(source, each)) for name, each in (controls or {}).items()}
        write_result(TestResult(source, found, score(found), changed), folder / "results", {"name": "final"})
        accuracy[source] = score(found).final.value
    facts = {"updates": 100, "seconds": 12.5, "flops": 2.5e9} | (training or {})
    write_json(folder / "result.json", {"weights": {}, "accuracy": accuracy, "training": facts})
    write_json(folder / "environment.json", ENVIRONMENT | (environment or {}))
    if latency is not None:
        write_json(folder / "latency.json", latency)
    return folder
