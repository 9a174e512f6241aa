"""Answers of the model that is analysed, and how many of them are right."""

from collections.abc import Sequence

from rim.backbone.decode import Prompt, greedy
from rim.backbone.reading import Reader, read_once
from rim.data.answers import grade
from rim.data.encode import EncodedExample
from rim.studies.analysis.subject import Subject


def answers(subject: Subject, prompts: Sequence[Prompt], read: Reader = read_once) -> list[str]:
    """The last answer of each prompt, whose trunk is read so."""
    evaluator = subject.evaluator
    tokens = greedy(subject.backbone, prompts, evaluator.max_new_tokens(), read=read)
    texts = evaluator.tokenizer.batch_decode([branches[-1] for branches in tokens], skip_special_tokens=True)
    return [evaluator.method.answer_in(text) for text in texts]


def right(subject: Subject, examples: Sequence[EncodedExample]) -> list[bool]:
    """Whether each question is answered rightly."""
    texts = [text for batch in subject.batches(examples) for text in answers(subject, subject.prompts(batch))]
    return [grade(subject.task.answer_rule, text, each.gold) for text, each in zip(texts, examples, strict=True)]
