"""Whether a run goes on with the rows that it began with, told by the reports that it kept of them (`data.json`)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TABLE = re.compile(r"(\S+/\S+)(?: \S+)* at ([0-9a-f]{40})\b")
"""A table of the hub and its commit."""
HASHES = (re.compile(r"sha256 [0-9a-f]{64}"), re.compile(r"\bat [0-9a-f]{40}\b"))
"""What an origin says of content: of files, and of tables of the hub. Where a file lies does not matter."""
TESTS_FROM = 2
"""Reports of a run: of what trains, of what is held out, and of each test set."""

Kept = Mapping[str, Any]
"""A report as it is kept; those of a mixture hold the reports of its sources."""


@dataclass(frozen=True)
class Change:
    """A source whose rows are others now, and where they came from, before and now."""

    source: str
    test: bool
    before: str
    now: str

    @property
    def revisions(self) -> set[str]:
        """The tables of the hub as `data.revisions` names them to read the former rows."""
        return {f"{name}@{commit}" for name, commit in TABLE.findall(self.before)}

    def __str__(self) -> str:
        return f"{self.source}: {self.before} -> {self.now}"


def changes(before: Sequence[Kept], now: Sequence[Kept]) -> list[Change]:
    """The sources whose file, commit or encoded rows differ, each once; a fact that was not kept is not compared."""
    pairs = zip(_by_source(before), _by_source(now), strict=False)
    found = [_change(old, new, test) for (old, test), (new, _) in pairs]
    return list(dict.fromkeys(change for change in found if change is not None))


def _by_source(reports: Sequence[Kept]) -> Iterator[tuple[Kept, bool]]:
    """The report of every source, and whether it is a test set."""
    for place, report in enumerate(reports):
        for part in report.get("parts", [{"report": report}]):
            yield part["report"], place >= TESTS_FROM


def _change(before: Kept, now: Kept, test: bool) -> Change | None:
    for pattern in HASHES:
        old, new = pattern.findall(before.get("origin", "")), pattern.findall(now["origin"])
        if old and new and old != new:
            return Change(now["source"], test, before["origin"], now["origin"])
    kept = before.get("encoded")
    if kept and kept != now["encoded"]:
        return Change(now["source"], test, f"rows encoded with sha256 {kept}", f"with sha256 {now['encoded']}")
    if before["kept"] != now["kept"]:  # all that runs of older versions say of rows without a file
        return Change(now["source"], test, f"{before['kept']:,} rows", f"{now['kept']:,} rows")
    return None
