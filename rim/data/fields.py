"""The fields of a user's own row; a field that nobody reads is refused with the one that is probably meant."""

from collections.abc import Mapping
from difflib import get_close_matches
from shlex import quote

from rim.data.row import Row

RULE = "a row has the fields question and answer, and if you like steps and id"
CALLED = {
    "question": ("prompt", "input", "instruction", "problem", "query"),
    "steps": ("step", "cot", "chain", "chain_of_thought", "rationale", "reasoning", "thought", "solution"),
    "answer": ("output", "target", "label", "response", "completion", "result", "gold", "final_answer"),
    "id": ("name", "uid", "uuid", "qid", "index", "idx", "key"),
}
"""What other data sets call each field."""
MEANT = {word: field for field, words in CALLED.items() for word in (field, *words)}


def require_known(row: Row, columns: Mapping[str, str]) -> None:
    """Refuse fields that would not be read; `columns` is what the row calls each field.

    Raises:
        RowError: names each, the field that is probably meant by it, and the setting that would read it so.
    """
    unknown = [name for name in row.values if name not in columns.values()]
    if unknown:
        meant = {name: _meant(name, row.values, columns) for name in unknown}
        named = ", ".join(
            f"'{name}'" + (f" (did you mean '{field}'?)" if field else "") for name, field in meant.items()
        )
        raise row.broken(f"unknown field {named}", RULE, _way_out(meant))


def _meant(name: str, row: Mapping[str, object], columns: Mapping[str, str]) -> str | None:
    """The field that is probably meant, unless the row has it."""
    near = get_close_matches(name.strip().lower(), MEANT, n=1, cutoff=0.7)
    field = MEANT[near[0]] if near else None
    return field if field and columns[field] not in row else None


def _way_out(meant: Mapping[str, str | None]) -> str:
    """How the fields are read as they are called; of two that mean the same the first."""
    first = {field: name for name, field in [*meant.items()][::-1] if field}
    settings = " ".join(quote(f"data.own.columns.{field}={first[field]}") for field in CALLED if field in first)
    return (
        f"rename the field, or delete it, or name its column: {settings or 'data.own.columns.steps=NAME'}; "
        "data.own.other_columns=ignore passes over the others"
    )
