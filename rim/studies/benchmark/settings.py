"""The settings of a benchmark: which methods answer which questions on which model; read as strictly as a run's.

Imports nothing heavy: contradictions are refused at once.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

from omegaconf import MISSING

from rim.base.errors import SettingsError, unknown
from rim.settings import Config, DecodeMode
from rim.settings.load import load, load_as

DECODERS = get_args(DecodeMode)
"""Ways of decoding (`rim.backbone.fast`)."""
BOUND = "bound"
"""What a bar may compare with besides entries: the time in which the weights can be read once."""


@dataclass
class Entry:
    """One line of the tables: a method with its settings."""

    name: str = MISSING
    """Name in tables and figures."""
    overrides: list[str] = field(default_factory=list)
    """`key=value` on top of the benchmark's; the model is the same for all entries."""


@dataclass
class Bar:
    """What is asked of a ratio: an entry's time over another's, or over the bound, at the smallest batch."""

    name: str = MISSING
    """The bar in words."""
    entry: str = MISSING
    """Entry whose time stands above the line."""
    over: str = MISSING
    """Entry whose time stands below it, or `bound`."""
    time: Literal["first", "full", "token"] = "full"
    """Time to the answer's first token, to its end, or between two generated tokens."""
    at_most: float | None = None
    """Most that the ratio may be."""
    at_least: float | None = None
    """Least that the ratio may be."""
    times_positions: bool = False
    """Whether the limit is multiplied by the ratio of the positions that the two read before the answer."""
    decode: list[str] = field(default_factory=list)
    """Ways of decoding that it is asked of; empty: all that are measured."""
    device: Literal["any", "cpu", "gpu"] = "any"
    """Kind of device that it is asked on."""


@dataclass
class Published:
    """Milliseconds that a paper states for an entry; they are shown beside ours, and nothing is asked of them."""

    entry: str = MISSING
    """Entry that they stand beside."""
    first_ms: float = MISSING
    """Time to the first token."""
    full_ms: float | None = None
    """Time to the end of the answer; empty: not stated."""


@dataclass
class Benchmark:
    """Entries × ways of decoding × batch sizes, in rounds."""

    name: str = MISSING
    """Name; tables and figures go to `<folder>/<name>`."""
    folder: str = "runs"
    """Folder of all results."""
    base: list[str] = field(default_factory=list)
    """Configuration files of every entry; a later one wins."""
    overrides: list[str] = field(default_factory=list)
    """`key=value` of every entry; they win over files."""
    root: str | None = None
    """Folder with local copies of published data sets, as `data.root`; empty: as the settings say."""
    source: str | None = None
    """Questions, `task/split`; empty: the first of `data.test`."""
    questions: int = 8
    """Questions of a round at batch size 1, at even distances; at larger sizes as many batches as they fill, or one."""
    batch_sizes: list[int] = field(default_factory=lambda: [1])
    """Numbers of questions that are answered together."""
    rounds: int = 5
    """Times that every entry answers all questions; each round begins with another entry."""
    warmup: int = 1
    """Rounds before those that count; one run of every entry under the counter of operations comes before them."""
    decode: list[str] = field(default_factory=lambda: ["plain"])
    """Ways of decoding: plain, static, compiled, graph."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Type of the weights, and of the arithmetic."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Kind of device; auto: a GPU where there is one."""
    threads: int = 1
    """CPU threads."""
    vocabulary: int | None = None
    """Rows of the embedding matrices, more than the tokenizer fills; empty: as many as the tokenizer has entries."""
    bandwidth: float | None = None
    """Memory bandwidth in GB/s (10^9 bytes) that bounds a pass; empty: measured."""
    reference: str | None = None
    """Entry that ratios are against; empty: the first."""
    bars: list[Bar] = field(default_factory=list)
    """What is asked of the outcome; a missed bar is a finding, not a failure."""
    published: list[Published] = field(default_factory=list)
    """A paper's numbers."""
    entries: list[Entry] = field(default_factory=list)
    """What is measured, in the order of the tables."""

    @property
    def path(self) -> Path:
        return Path(self.folder) / self.name

    @property
    def reference_entry(self) -> str:
        return self.reference or self.entries[0].name

    def config(self, entry: Entry) -> Config:
        """The settings of an entry.

        Raises:
            SettingsError: they cannot be used; begins with the entry's name.
        """
        root = [f"data.root={self.root}"] if self.root is not None else []
        try:
            return load(self.base, [*self.overrides, *root, *entry.overrides])
        except SettingsError as error:
            raise SettingsError(f"entry '{entry.name}': {error}") from None


def load_benchmark(files: Sequence[str | Path], overrides: Sequence[str] = ()) -> Benchmark:
    """Read and check a benchmark's settings: defaults < files < `key=value`.

    Raises:
        SettingsError: a file, key, value or combination that cannot be used; the text says which and what can.
    """
    return load_as(Benchmark, files, overrides, lambda bench: list(problems(bench)) or list(_unlike(bench)))


def problems(bench: Benchmark) -> Iterator[str]:
    """A sentence for everything that cannot be used: path, value, rule, way out."""
    if not bench.entries:
        yield "entries = []: a benchmark measures entries; list some, such as {name: direct, overrides: [...]}"
        return
    yield from _numbers(bench)
    if not bench.decode or len(set(bench.decode)) < len(bench.decode):
        rule = f"each stands there once, and at least one does; there are {', '.join(DECODERS)}"
        yield f"decode = {bench.decode}: {rule}"
    for way in bench.decode:
        yield from unknown("decode", way, DECODERS)
    if "graph" in bench.decode and bench.device == "cpu":
        yield "device = 'cpu': decode lists graph, and CUDA graphs run on a GPU alone; leave it out, or set device=gpu"
    names = [entry.name for entry in bench.entries]
    for name, count in Counter(names).items():
        if count > 1 or name == BOUND:
            rule = "is what bars call the reading of the weights" if name == BOUND else f"{count} have it"
            yield f"entries: the name '{name}' {rule}; every entry needs a name of its own"
    if bench.reference is not None:
        yield from unknown("reference", bench.reference, names)
    for index, published in enumerate(bench.published):
        yield from unknown(f"published[{index}].entry", published.entry, names)
    for index, bar in enumerate(bench.bars):
        yield from _bar(f"bars[{index}]", bar, names)


def _numbers(bench: Benchmark) -> Iterator[str]:
    for name in ("questions", "rounds", "warmup", "threads"):
        if getattr(bench, name) < 1:
            yield f"{name} = {getattr(bench, name)}: must be at least 1"
    sizes = bench.batch_sizes
    if not sizes or min(sizes) < 1 or sorted(set(sizes)) != sizes:
        yield f"batch_sizes = {sizes}: lists numbers of questions, at least 1, each once and the smallest first"
    if bench.bandwidth is not None and not 0 < bench.bandwidth < float("inf"):
        yield f"bandwidth = {bench.bandwidth}: must be a positive number of GB/s; leave it empty to have it measured"


def _bar(path: str, bar: Bar, names: Sequence[str]) -> Iterator[str]:
    yield from unknown(f"{path}.entry", bar.entry, names)
    yield from unknown(f"{path}.over", bar.over, [*names, BOUND])
    for way in bar.decode:
        yield from unknown(f"{path}.decode", way, DECODERS)
    if (bar.at_most is None) == (bar.at_least is None):
        yield f"{path} sets {'both' if bar.at_most is not None else 'neither'} of at_most and at_least: set one"
    if bar.times_positions and bar.over == BOUND:
        yield f"{path}.times_positions = true: the bound reads no positions; compare with an entry, or leave it false"


def _unlike(bench: Benchmark) -> Iterator[str]:
    """Entries whose model is another than the first one's: times would compare models, not methods."""
    first = asdict(bench.config(bench.entries[0]).backbone)
    for entry in bench.entries[1:]:
        own = asdict(bench.config(entry).backbone)
        for name in [name for name in first if own[name] != first[name]]:
            yield (
                f"entry '{entry.name}': backbone.{name} differs from that of '{bench.entries[0].name}': all entries "
                "answer on one model; set it in overrides of the benchmark"
            )
