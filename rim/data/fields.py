"""The fields of a user's own row; a field that nobody reads is refused with the one that is probably meant."""

from collections.abc import Mapping
from difflib import get_close_matches

from rim.data.row import Row

RULE = "a row has the fields question and answer, and if you like steps and id"
WAY_OUT = (
    "rename the field, or delete it; data.own.columns.steps=NAME names the column of the steps, and "
    "data.own.other_columns=ignore passes over the others"
)
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
        RowError: names each, and the field that is probably meant by it.
    """
    unknown = [name for name in row.values if name not in columns.values()]
    if unknown:
        named = ", ".join(f"'{name}'{_hint(name, row.values, columns)}" for name in unknown)
        raise row.broken(f"unknown field {named}", RULE, WAY_OUT)


def _hint(name: str, row: Mapping[str, object], columns: Mapping[str, str]) -> str:
    """The field that is probably meant, unless the row has it."""
    near = get_close_matches(name.strip().lower(), MEANT, n=1, cutoff=0.7)
    meant = MEANT[near[0]] if near else None
    return f" (did you mean '{meant}'?)" if meant and columns[meant] not in row else ""
