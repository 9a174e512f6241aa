"""One training example as it is laid out in every stage, as text and as a figure."""

from pathlib import Path

from matplotlib.figure import Figure

from rim.backbone.load import run_tokenizer
from rim.backbone.tokenizer import token_text
from rim.base.errors import UserError
from rim.base.files import SaveError
from rim.data.prepare import prepare, training_texts
from rim.methods.registry import build_method
from rim.report.figures.outline import tree_text
from rim.report.figures.tree import tree_figure
from rim.report.publish import write_figure
from rim.settings import Config
from rim.settings.progress import Progress

SUFFIXES = (".png", ".pdf", ".svg")
"""Forms of a figure, by the ending of its file's name."""


class RowError(UserError):
    """A training row that does not exist."""


class FigureError(UserError):
    """A figure that cannot be written."""


def draw(config: Config, row: int, figure: str | None) -> None:
    """Print the tree of training row `row` at the beginning of every stage.

    Args:
        figure: file to save figures to, the stage's name before the suffix; None: no figure. Folders are made.

    Raises:
        RowError: the training split has no such row.
        FigureError: the suffix names no form of figure, or the system refused the file.
    """
    if figure and Path(figure).suffix not in ("", *SUFFIXES):
        raise FigureError(f"--figure {figure}: the name of a figure ends in {', '.join(SUFFIXES)}")
    tokenizer = run_tokenizer(config, lambda: training_texts(config.data))
    train = prepare(config.data, tokenizer, config.run.seed).train
    if not 0 <= row < len(train):
        raise RowError(f"--row {row}: the training split has rows 0 to {len(train) - 1}")
    method = build_method(config, tokenizer)
    for stage in config.stages:
        tree = method.layout(train[row], Progress(stage))
        print(f"\nstage {stage.name}, example {train[row].id}\n")
        print(tree_text(tree, token_text(tokenizer)))
        if figure:
            path = Path(figure)
            path = path.with_name(f"{path.stem}-{stage.name}{path.suffix or SUFFIXES[0]}")
            _save(tree_figure(tree, token_text(tokenizer)), path)
            print(f"\nfigure: {path}")


def _save(figure: Figure, path: Path) -> None:
    try:
        write_figure(figure, path)
    except SaveError as error:
        raise FigureError(f"--figure {path} cannot be written: {error.__cause__}. Choose another folder") from error
