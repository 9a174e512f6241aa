"""List the verbs of `python -m rim.VERB`, and the commands to begin with; `rim VERB` is the same as a script."""

import ast
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from rim.base.errors import did_you_mean
from rim.settings.commandline import UsageError, user_errors

VERBS = ("fit", "evaluate", "analyze", "ask", "export", "compare", "sweep", "bench", "show")
"""In the order in which a newcomer meets them."""
FIRST_COMMANDS = (
    ("python -m rim.show --config conf/demo.yaml", "see what a run is trained on"),
    ("python -m rim.fit --config conf/demo.yaml", "train and score the small model"),
    ("python -m rim.ask --run runs/demo", "ask it questions"),
    ("tensorboard --logdir runs", "look at its curves in a browser"),
)


@user_errors()
def main(argv: Sequence[str] | None = None) -> int:
    """Do what the verb does that is named first; without one, print the list.

    Raises:
        UsageError: something was named that is no verb.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if words and words[0] in VERBS:
        status: int = import_module(f"rim.{words[0]}").main(words[1:])
        return status
    if words and words[0] not in ("-h", "--help"):
        raise UsageError(f"'{words[0]}' is no verb{did_you_mean(words[0], VERBS)}; there are {', '.join(VERBS)}")
    print(overview())
    return 0


def overview() -> str:
    """The verbs with the first line of their documentation, and the commands to begin with."""
    verbs = [f"  {verb:<10}{_summary(verb)}" for verb in VERBS]
    commands = [f"  {command:<45}{purpose}" for command, purpose in FIRST_COMMANDS]
    return "\n".join(
        [
            *("usage: python -m rim.VERB [options] [key=value ...]", "", "verbs:", *verbs),
            *("", "to begin with:", *commands, "", "python -m rim.VERB --help has the options of a verb."),
        ]
    )


def _summary(verb: str) -> str:
    """The first line of a verb's docstring, read from its source: nothing that it needs is imported."""
    spec = find_spec(f"rim.{verb}")
    assert spec is not None and spec.origin is not None
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
