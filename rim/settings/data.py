"""Settings of the examples: which sources, and what is generated."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass
class Tracking:
    """The generated task *tracking*: an object changes hands as people swap; who has it in the end?"""

    people: int = 6
    """Number of people, 3 to 8."""
    min_steps: int = 1
    """Fewest swaps in a story of train, validation and test."""
    max_steps: int = 4
    """Most swaps in a story of train, validation and test."""
    ood_steps: int = 6
    """Most swaps of the out-of-distribution test, which begins at `max_steps` + 1."""
    seed: int = 0
    """Seed of the stories; another seed gives other stories."""
    train_rows: int = 100_000
    """Rows of the training split."""
    test_rows: int = 1_000
    """Rows of each of validation, test and ood."""


@dataclass
class Arithmetic:
    """The generated task *arithmetic*: a chain of operations on whole numbers, told as a story."""

    min_steps: int = 1
    """Fewest operations in a story of train, validation and test."""
    max_steps: int = 4
    """Most operations in a story of train, validation and test."""
    ood_steps: int = 6
    """Most operations of the out-of-distribution test, which begins at `max_steps` + 1."""
    max_number: int = 20
    """Largest number that a story adds or takes away, and the largest it starts with."""
    max_value: int = 100
    """Largest intermediate value; no value is negative."""
    seed: int = 0
    """Seed of the stories; another seed gives other stories."""
    train_rows: int = 100_000
    """Rows of the training split."""
    test_rows: int = 1_000
    """Rows of each of validation, test and ood."""


@dataclass
class Renumbered:
    """The generated task *gsm8k_renumbered*: GSM8K's questions with other numbers, and equations computed anew."""

    versions: int = 10
    """Versions of each row of the training split."""
    test_versions: int = 1
    """Versions of each row of validation and test."""
    factor: float = 3.0
    """Most that a number is multiplied or divided by; more than 1."""
    seed: int = 0
    """Seed of the numbers; another seed gives other versions."""


@dataclass
class Columns:
    """Names that the columns of your rows have."""

    question: str = "question"
    """Column of the question."""
    steps: str = "steps"
    """Column of the steps; it may be absent under this name alone."""
    answer: str = "answer"
    """Column of the answer."""
    id: str = "id"
    """Column of a name of the row; it may be absent under this name alone."""


@dataclass
class Own:
    """The task `own`: rows of yours in JSON-lines, JSON, CSV or Parquet files, or in a table of the hub."""

    train: str | None = None
    """File of `own/train`; a path counts from the folder in which the command runs. With `table`: one of its splits."""
    validation: str | None = None
    """File of `own/validation`, or a split of `table`; a part is written `train[:5%]`."""
    test: str | None = None
    """File of `own/test`, or a split of `table`."""
    table: str | None = None
    """Table of the Hugging Face hub, `owner/name`, whose splits the fields above name; empty: they name files."""
    table_config: str | None = None
    """Configuration of the table; empty: its only one."""
    revision: str = "main"
    """Commit, branch or tag of the table."""
    columns: Columns = field(default_factory=Columns)
    """What the columns are called, such as `{question: prompt, steps: rationale, answer: label}`."""
    other_columns: Literal["refuse", "ignore"] = "refuse"
    """Columns that are not read are refused, since a name may be misspelt, or passed over."""
    split_steps: Literal["never", "line", "sentence", "annotation"] = "never"
    """What the steps are in a text: its lines, its sentences, or its calculator annotations `<<48/2=24>>`."""
    answer_rule: str = "text"
    """How answers are graded, by name: text, integer, number, ...; a wrong name lists all."""


@dataclass
class Data:
    """Which examples, in which form, and what is done with those that do not fit."""

    train: str = "tracking/train"
    """Training source, `task/split`; or a mixture with weights, `gsm8k_aug/train:0.7 + prosqa/train:0.3`, or without,
    for shares by rows."""
    validation: str = "tracking/validation"
    """Validation set that chooses the checkpoint, `task/split`; never a test split. Several, `a/b + c/d`, choose by
    all of their rows together."""
    test: list[str] = field(default_factory=lambda: ["tracking/test"])
    """Sources scored at the end, each `task/split`."""
    root: str | None = None
    """Folder with local copies of published data sets; empty: read from the Hugging Face hub."""
    revisions: list[str] = field(default_factory=list)
    """Tables of the hub read at another revision than the pinned one, each `owner/name@revision`."""
    steps: Literal["equations", "sentences", "results", "decompositions", "facts"] = "equations"
    """Form of the reasoning steps: one that the task has; results are what stands right of the equations' last `=`. In
    a mixture, sources without it have their own first form."""
    train_rows: int | None = None
    """At most this many training rows per source, the first ones; empty: all."""
    validation_rows: int | None = 264
    """At most this many validation rows per source, drawn by seed; 264 is the paper's number. Empty: all."""
    test_rows: int | None = None
    """At most this many rows per test source, the first ones; empty: all."""
    max_steps: int = 13
    """Longest chain of steps that trains [paper: up to 13 blocks in grounding]."""
    over_steps: Literal["drop", "cap"] = "drop"
    """A longer chain is dropped, or capped to its first `max_steps` steps; both are counted [open]."""
    max_question_tokens: int = 512
    """Training questions with more tokens are dropped and counted; a chat template's tokens count."""
    max_step_tokens: int = 128
    """Training examples with a longer step are dropped and counted, in tokens."""
    max_answer_tokens: int = 32
    """Training examples with a longer answer are dropped and counted, in tokens."""
    question_end: str = "\n"
    """Text between the question and what follows it, in the form plain [open]."""
    template: Literal["plain", "chat"] = "plain"
    """Form of a question: its text and `question_end`, or one user message in the model's own chat template, up to
    where the model begins to write; steps, answers and chains then end as the model ends a turn."""
    system: str | None = None
    """System message before the question (template chat); empty: what the chat template itself writes."""
    bos: Literal["auto", "always", "never"] = "auto"
    """Token at the very beginning, at most once: what the tokenizer puts before a text (Llama 3 and Gemma a
    beginning-of-text token, GPT-2 and Qwen 3 none), its `bos_token` always, or none but what a chat template writes."""
    cache: str = ".cache/rim"
    """Folder of encoded data, keyed by everything that changes it."""
    workers: int | None = None
    """Loader processes; 0 lays examples out in the training process. Empty: 1 where a GPU trains, else 0."""
    own: Own = field(default_factory=Own)
    """The task `own`, in your own files or in a table of the hub."""
    modules: list[str] = field(default_factory=list)
    """Python files that each define a `TASK` of yours, found by its name."""
    tracking: Tracking = field(default_factory=Tracking)
    """The generated task `tracking`."""
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    """The generated task `arithmetic`."""
    gsm8k_renumbered: Renumbered = field(default_factory=Renumbered)
    """The generated task `gsm8k_renumbered`, over GSM8K's rows."""
