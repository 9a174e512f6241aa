"""One training example as it is laid out in every stage, as text and as a picture."""

from pathlib import Path

from rim.backbone.load import load_tokenizer
from rim.backbone.tokenizer import token_text
from rim.config import Config
from rim.data.prepare import prepare, training_texts
from rim.errors import UserError
from rim.methods.registry import build_method
from rim.pictures import tree_picture, tree_text
from rim.training.run import TOKENIZER_ROWS


class RowError(UserError):
    """A training row that does not exist."""


def draw(config: Config, row: int, picture: str | None) -> None:
    """Print the tree of training row `row` at the beginning of every stage.

    Args:
        picture: file to save pictures to, the stage's name before the suffix; None: no picture.

    Raises:
        RowError: the training split has no such row.
    """
    tokenizer = load_tokenizer(config.backbone, lambda: training_texts(config.data, TOKENIZER_ROWS))
    train = prepare(config.data, tokenizer, config.run.seed).train
    if not 0 <= row < len(train):
        raise RowError(f"--row {row}: the training split has rows 0 to {len(train) - 1}")
    method = build_method(config, tokenizer)
    for stage in config.stages:
        tree = method.layout(train[row], stage.objective, 0.0)
        print(f"\nstage {stage.name}, example {train[row].id}\n")
        print(tree_text(tree, token_text(tokenizer)))
        if picture:
            path = Path(picture)
            path = path.with_name(f"{path.stem}-{stage.name}{path.suffix or '.png'}")
            tree_picture(tree, token_text(tokenizer)).savefig(path)
            print(f"\npicture: {path}")
