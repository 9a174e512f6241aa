"""The command line that all verbs share: files, `key=value` overrides in any order, and errors without a traceback."""

import sys
from argparse import SUPPRESS, Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from rim.base.errors import UserError
from rim.settings import Config
from rim.settings.pipe import quiet_when_unread
from rim.settings.schema import reference, types_of


class UsageError(UserError):
    """A command line that cannot be read."""


@dataclass(frozen=True)
class CommandLine:
    """What was asked: configuration files and overrides in their order, and the verb's own options."""

    files: tuple[str, ...]
    overrides: tuple[str, ...]
    options: Namespace


def parse(
    verb: str,
    description: str,
    argv: Sequence[str] | None = None,
    options: Callable[[ArgumentParser], Any] | None = None,
    config: bool = True,
    settings: type | None = Config,
    words: str = "key=value",
) -> CommandLine:
    """Read a verb's command line; `rim.settings.load.load(line.files, line.overrides)` makes settings of it.

    Args:
        verb: name of the module, `fit` for `python -m rim.fit`.
        description: what the verb does, the first lines of its `--help`.
        argv: arguments; None: those of the process.
        options: adds the verb's own options to the parser.
        config: whether the verb takes `--config`; overrides are taken in either case.
        settings: what `--help-config` explains; None: the verb takes no settings, and words are its own.
        words: what the words without dashes are, in the line of usage; empty: there are none.

    Raises:
        UsageError: an unknown option, a missing or wrong value of one, or a word where there are none.
    """
    parser = _parser(verb, description, config, settings)
    parser.usage = f"{parser.prog} [options]" + (f" [{words} ...]" if words else "")
    if options is not None:
        options(parser)
    given = list(sys.argv[1:] if argv is None else argv)
    parsed = vars(parser.parse_intermixed_args(given))
    overrides = parsed.pop("overrides")
    lists = {name: items for name, items in parsed.items() if isinstance(items, list)}
    for name, items in lists.items():  # an option of several words takes overrides that follow it, too
        parsed[name] = [item for item in items if "=" not in item or exists(item)]
        overrides += [item for item in items if item not in parsed[name]]
        if not parsed[name]:
            raise UsageError(f"--{name} names nothing: '{items[0]}' is an override; see python -m rim.{verb} --help")
    if overrides and not words:
        raise UsageError(f"'{overrides[0]}' stands behind no option; see {parser.prog} --help")
    files = parsed.pop("config", None) or []
    overrides.sort(key=lambda item: len(given) - given[::-1].index(item))  # the later one wins, as it was written
    return CommandLine(tuple(files), tuple(overrides), Namespace(**parsed))


def add_checkpoint(parser: ArgumentParser) -> None:
    """The option `--checkpoint` of verbs about a finished run; `--weights`, its former name, is read in silence."""
    text = "one of DIR/weights; default: the final pick"
    parser.add_argument("--checkpoint", metavar="NAME", help=text)
    parser.add_argument("--weights", dest="checkpoint", help=SUPPRESS)


def exists(word: str) -> bool:
    """Whether there is a file or folder of that name; an override may be longer than any name can be."""
    try:
        return Path(word).exists()
    except OSError:
        return False


def _parser(verb: str, description: str, config: bool, settings: type | None) -> ArgumentParser:
    formatter = partial(RawDescriptionHelpFormatter, max_help_position=30)  # the help of a verb fits 80 x 25
    parser = _Parser(
        prog=f"python -m rim.{verb}", description=description, allow_abbrev=False,
        epilog=_EPILOG if settings else None, formatter_class=formatter,
    )  # fmt: skip
    if config:
        parser.add_argument("--config", nargs="+", action="extend", metavar="FILE", help="YAML files; a later one wins")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=SUPPRESS)  # see _EPILOG
    if settings is None:
        return parser
    parser.add_argument(
        "--help-config", nargs="?", const="", action=_Reference, default=SUPPRESS, metavar="SECTION",
        help="print settings with type, default, meaning", settings=settings,
    )  # fmt: skip
    return parser


_EPILOG = """\
key=value wins over files: training.batch_size=64, 'data.test=[gsm8k/test]',
data.root=null, 'stages.*.learning_rate=1e-3' (* is every index of a list),
'data.question_end="\\n"' (text with escapes stands in quotes)."""


class _Parser(ArgumentParser):
    """Raises where argparse prints the usage and exits, so that all errors look alike."""

    def error(self, message: str) -> NoReturn:
        wrong = message.removeprefix("unrecognized arguments: ").split()[0]
        if wrong == message.split()[0] or not wrong.startswith("-"):
            raise UsageError(f"{message}; see {self.prog} --help")
        if "=" in wrong and "." in wrong.partition("=")[0]:
            raise UsageError(f"'{wrong}' is no option: an override is written without dashes, {wrong.lstrip('-')}")
        shown = [action for action in self._actions if action.help != SUPPRESS]
        known = [option for action in shown for option in action.option_strings]
        near = get_close_matches(wrong.partition("=")[0], known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"'{wrong}' is no option{hint}; there are {', '.join(known)}")


class _Reference(Action):
    """Prints the reference of the settings and ends."""

    def __init__(self, *, settings: type, **more: Any) -> None:
        super().__init__(**more)
        self.settings = settings

    def __call__(self, parser: ArgumentParser, namespace: Any, values: Any, option_string: str | None = None) -> None:
        text = reference(values or "", self.settings)
        if not text:
            raise UsageError(
                f"--help-config {values}: there is no such section; there are {', '.join(types_of(self.settings))}"
            )
        print(text)
        parser.exit()


@contextmanager
def user_errors() -> Iterator[None]:
    """Print an error that the user can mend as `error: ...` on stderr, and exit with status 2. Also a decorator.

    A command whose output nobody reads any more ends quietly (`rim.settings.pipe`).
    """
    with quiet_when_unread():
        try:
            yield
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
