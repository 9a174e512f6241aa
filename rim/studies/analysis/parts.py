"""The parts of an analysis of one model on one test set; what several of them need is computed once."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from rim.data.encode import EncodedExample, Request, encode
from rim.data.sources import parse_sources
from rim.studies.analysis import report
from rim.studies.analysis.attention import attention
from rim.studies.analysis.holding import Held, States, states_of
from rim.studies.analysis.lens import affine_lens, lens
from rim.studies.analysis.models import UNTRAINED, Models
from rim.studies.analysis.pairs import pairs_of
from rim.studies.analysis.patch import Interventions, intervene
from rim.studies.analysis.probe import Probes, probe
from rim.studies.analysis.projection import project
from rim.studies.analysis.readouts import read_steps
from rim.studies.analysis.subject import Subject


class Analysis:
    """`models` are those of the subject's run, `examples` the test set's; `fitting` times as many training questions
    fit probes and maps.
    """

    fitting = 4

    def __init__(self, subject: Subject, models: Models, examples: Sequence[EncodedExample]) -> None:
        self.subject, self.models, self.examples = subject, models, examples

    @cached_property
    def states(self) -> States:
        """Of the test examples."""
        return states_of(self.subject, self.examples)

    @cached_property
    def fitting_states(self) -> States:
        """Of training examples: those of the same task where there are any, else of the first source."""
        data, own = self.models.config.data, self.subject.task.name
        sources = parse_sources(data)
        source = next((each for each in sources.train if each.task.name == own), sources.train[0])
        request = Request(source, "train", self.fitting * len(self.examples), without=sources.excluded)
        train = encode(request, data, self.subject.evaluator.tokenizer)
        return states_of(replace(self.subject, task=source.task), [train[row] for row in range(len(train))])

    @cached_property
    def interventions(self) -> tuple[Interventions, Interventions]:
        """With donors of another answer, and of the same values."""
        tokenizer, data = self.subject.evaluator.tokenizer, self.models.config.data
        other, same = (
            intervene(self.subject, pairs_of(self.subject.task, self.examples, tokenizer, data, same=same))
            for same in (False, True)
        )
        return other, same

    @cached_property
    def probes(self) -> Probes:
        """Fitted on training questions."""
        return probe(self.fitting_states, self.states)

    @cached_property
    def lenses(self) -> tuple[Held, Held]:
        """The logit lens, and the affine one."""
        return lens(self.subject, self.states), affine_lens(self.subject, self.fitting_states, self.states)

    def patch(self) -> report.Section:
        return report.patch_section(*self.interventions, self.subject.layers)

    def probe(self) -> report.Section:
        return report.held_sections(self.probes)

    def lens(self) -> report.Section:
        return report.lens_section(*self.lenses)

    def steps(self) -> report.Section:
        """What the readouts of the grounding checkpoint read from blocks."""
        name = self.models.grounding()
        if name is None:
            return report.steps_section(None, None)
        return report.steps_section(name, read_steps(self.subject, self.models.at(name)[0], self.examples))

    def pca(self) -> report.Section:
        """Projections at the middle and at the end, before training and after it."""
        if len(self.states.at_least(1)) < 2:
            return report.pca_section([])
        names = [*self.subject.states.values()]
        chosen = list(dict.fromkeys((names[len(names) // 2], names[-1])))
        before, width = states_of(self.models.at(UNTRAINED)[0], self.examples), self.subject.backbone.width
        models = {"before training": before, "after training": self.states}
        return report.pca_section(
            [project(states, width, layer, model) for model, states in models.items() for layer in chosen]
        )

    def attention(self) -> report.Section:
        return report.attention_section(attention(self.subject, self.examples), self.subject.layers)
