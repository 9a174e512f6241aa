"""Errors that a user can mend: a verb prints their text and exits with status 2, without a traceback."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches


class UserError(ValueError):
    """What was received, the rule, the way out, and the valid names."""


class SettingsError(UserError):
    """A setting that does not exist, does not fit its type, or contradicts another."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a name that there is not: the one of the known names that is near, if any."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def unknown(path: str, name: str, known: Iterable[str], what: str = "name") -> Iterator[str]:
    """A sentence where a name is none of those that are known."""
    names = list(known)
    if name not in names:
        yield f"{path} = '{name}': there is no such {what}{did_you_mean(name, names)}; there are {', '.join(names)}"
