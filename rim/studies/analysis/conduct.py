"""Analyses the models of a run folder, and writes what was found to `RUN/analysis/`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rim.base.files import write_bytes, write_json
from rim.data.encode import EncodedExample
from rim.data.prepare import prepare_tests
from rim.data.registry import parse_source
from rim.evaluation.finished import settings_of
from rim.report.publish import write_figure
from rim.runs.folder import RunFolder
from rim.studies.analysis.along import along_section, point_of
from rim.studies.analysis.models import Models
from rim.studies.analysis.parts import Analysis
from rim.studies.analysis.report import Section
from rim.studies.analysis.subject import Subject


def analyze(
    path: Path,
    overrides: Sequence[str],
    sources: Sequence[str] | None,
    *,
    parts: Sequence[str],
    weights: str | None = None,
    layers: Sequence[int] = (),
    rows: int,
    along: bool = False,
) -> None:
    """Analyse a run on test sets, print the tables, and write `report.md`, `results.json` and figures.

    Args:
        overrides: of settings that do not change the weights.
        sources: test sources; none: the run's own.
        parts: of the analysis, by name.
        weights: name of the weights; None: the final pick.
        layers: that are looked at; none: all.
        rows: most questions of a test set.
        along: at every checkpoint that is kept and before the first update, each with a report, and a summary.

    Raises:
        UserError: no such run, weights, source, setting or layer, or a run without blocks.
    """
    folder = RunFolder(path)
    config = settings_of(folder, overrides, sources)
    backbone, about = folder.load_backbone(weights)
    tests = prepare_tests(config.data, backbone.tokenizer)
    for source, split in tests.items():
        models = Models(folder, config, parse_source(source, config.data).task, [*tests.values()], layers)
        examples = [split[row] for row in range(min(rows, len(split)))]
        into = folder.path / "analysis" / source.replace("/", "-")
        if along:
            _analyze_along(models, examples, source, parts, into / "along")
        else:
            analysis, facts = _opened(models, models.of(backbone, about), examples, source)
            _write(into, facts, {part: getattr(analysis, part) for part in parts})


def _analyze_along(
    models: Models, examples: Sequence[EncodedExample], source: str, parts: Sequence[str], into: Path
) -> None:
    points = []
    facts: dict[str, Any] = {}
    for name in models.along():
        analysis, facts = _opened(models, models.at(name), examples, source)
        _write(into / name, facts, {part: getattr(analysis, part) for part in parts})
        points.append(point_of(analysis, facts, parts))
    _write(into, facts | {"name": "all checkpoints"}, {"along": lambda: along_section(points)})


def _opened(
    models: Models, model: tuple[Subject, dict[str, Any]], examples: Sequence[EncodedExample], source: str
) -> tuple[Analysis, dict[str, Any]]:
    """The analysis of one model, and the facts of its report."""
    subject, about = model
    facts = {**about, "source": source, "examples": len(examples), "layers": subject.layers}
    return Analysis(subject, models, examples), facts


def _write(folder: Path, facts: Mapping[str, Any], parts: Mapping[str, Callable[[], Section]]) -> None:
    """Each part is printed, drawn and written as it is done, so that a run that is stopped keeps the parts before."""
    heading = f"# Analysis of {facts['name']} on {facts['source']}: {facts['examples']:,} questions"
    print(heading)
    texts, record = [heading], dict(facts)
    for name, part in parts.items():
        section = part()
        print(f"\n{section.text}", flush=True)
        files = [write_figure(figure, folder / f"{stem}.png") for stem, figure in section.figures.items()]
        texts += [section.text, *(f"![{file.stem}]({file.name})" for file in files)]
        record[name] = section.record
        write_bytes(folder / "report.md", ("\n\n".join(texts) + "\n").encode())
        write_json(folder / "results.json", record)
    print(f"\nReport, record and figures: {folder}\n")
