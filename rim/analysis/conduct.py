"""Analyses the model of a run folder, and writes what was found to `RUN/analysis/`."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from rim.analysis import report
from rim.analysis.attention import attention
from rim.analysis.holding import States, states_of
from rim.analysis.lens import lens
from rim.analysis.pairs import pairs_of
from rim.analysis.patch import intervene
from rim.analysis.probe import probe
from rim.analysis.projection import project
from rim.analysis.subject import Subject, check_readable, chosen_layers
from rim.base.files import write_bytes, write_json
from rim.data.encode import EncodedExample, Request, encode
from rim.data.prepare import prepare_tests
from rim.data.registry import parse_source
from rim.data.sources import parse_sources
from rim.evaluation.device import scoring_device
from rim.evaluation.finished import evaluator_of, facts_of, settings_of
from rim.report.publish import write_figure
from rim.runs.folder import RunFolder
from rim.settings import Config


class Analysis:
    """The parts of an analysis of one test set; states are read once for those that need them.

    `examples` are the test set's, `config` the run's settings; `fitting` times as many training questions fit probes.
    """

    fitting = 4

    def __init__(self, subject: Subject, config: Config, examples: Sequence[EncodedExample]) -> None:
        self.subject, self.config, self.examples = subject, config, examples

    @cached_property
    def states(self) -> States:
        """Of the test examples."""
        return states_of(self.subject, self.examples)

    def patch(self) -> report.Section:
        """Interventions with donors of another answer, and of the same values."""
        tokenizer, data = self.subject.evaluator.tokenizer, self.config.data
        found = [
            intervene(self.subject, pairs_of(self.subject.task, self.examples, tokenizer, data, same=same))
            for same in (False, True)
        ]
        return report.patch_section(found[0], found[1], self.subject.layers)

    def probe(self) -> report.Section:
        """Probes fitted on training questions."""
        sources = parse_sources(self.config.data)
        rows = self.fitting * len(self.examples)
        request = Request(sources.train[0], "train", rows, without=sources.excluded)
        train = encode(request, self.config.data, self.subject.evaluator.tokenizer)
        return report.held_sections(
            probe(states_of(self.subject, [train[row] for row in range(len(train))]), self.states)
        )

    def lens(self) -> report.Section:
        """The logit lens."""
        return report.lens_section(lens(self.subject, self.states))

    def pca(self) -> report.Section:
        """Projections at the middle and at the end."""
        names = [*self.subject.states.values()]
        chosen = list(dict.fromkeys((names[len(names) // 2], names[-1])))
        return report.pca_section(project(self.states, self.subject.backbone.width, chosen))

    def attention(self) -> report.Section:
        """Where answers look."""
        return report.attention_section(attention(self.subject, self.examples), self.subject.layers)

    def part(self, name: str) -> Callable[[], report.Section]:
        """The part of this name."""
        found: Callable[[], report.Section] = getattr(self, name)
        return found


def analyze(
    path: Path,
    overrides: Sequence[str],
    sources: Sequence[str] | None,
    *,
    parts: Sequence[str],
    weights: str | None = None,
    layers: Sequence[int] = (),
    rows: int,
) -> None:
    """Analyse a run on test sets, print the tables, and write `report.md`, `results.json` and figures.

    Args:
        overrides: of settings that do not change the weights.
        sources: test sources; none: the run's own.
        parts: of the analysis, by name.
        weights: name of the weights; None: the final pick.
        layers: that are looked at; none: all.
        rows: most questions of a test set.

    Raises:
        UserError: no such run, weights, source, setting or layer, or a run without blocks.
    """
    folder = RunFolder(path)
    config = settings_of(folder, overrides, sources)
    backbone, about = folder.load_backbone(weights)
    backbone = backbone.to(scoring_device(config.training.accelerator))
    tests = prepare_tests(config.data, backbone.tokenizer)
    evaluator = evaluator_of(folder, config, backbone, tests.values())
    check_readable(evaluator, backbone)
    chosen = chosen_layers(backbone, layers)
    for source, split in tests.items():
        task = parse_source(source, config.data).task
        subject = Subject(backbone, evaluator, task, chosen, config.evaluation.batch_size)
        analysis = Analysis(subject, config, [split[row] for row in range(min(rows, len(split)))])
        facts = {**facts_of(about, config), "source": source, "examples": len(analysis.examples), "layers": chosen}
        _write(folder.path / "analysis" / source.replace("/", "-"), facts, analysis, parts)


def _write(folder: Path, facts: dict[str, Any], analysis: Analysis, parts: Sequence[str]) -> None:
    """Each part is printed, drawn and written as it is done, so that a run that is stopped keeps the parts before."""
    heading = f"# Analysis of {facts['name']} on {facts['source']}: {facts['examples']:,} questions"
    print(heading)
    texts, record = [heading], dict(facts)
    for name in parts:
        section = analysis.part(name)()
        print(f"\n{section.text}", flush=True)
        files = [write_figure(figure, folder / f"{stem}.png") for stem, figure in section.figures.items()]
        texts += [section.text, *(f"![{file.stem}]({file.name})" for file in files)]
        record[name] = section.record
        write_bytes(folder / "report.md", ("\n\n".join(texts) + "\n").encode())
        write_json(folder / "results.json", record)
    print(f"\nReport, record and figures: {folder}\n")
