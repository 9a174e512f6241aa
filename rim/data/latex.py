"""The sentences of a solution in LaTeX."""

import re

FORMULA = re.compile(
    r"\$\$.*?\$\$|\$.*?\$|\\\[.*?\\\]|\\\(.*?\\\)|\[asy\].*?\[/asy\]|\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.DOTALL
)
"""What no sentence ends within."""
END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?]\$)|(?<=[.!?]\\[\])]))\s+(?=[A-Z$\\\[])|\n\s*\n")
"""Where a sentence ends: after its stop, before a capital letter or a formula, or at an empty line."""


def sentences(solution: str) -> tuple[str, ...]:
    """The sentences of a solution, spaces made plain; none ends within a formula."""
    spans = [match.span() for match in FORMULA.finditer(solution)]
    ends = [end for end in END.finditer(solution) if not any(a < end.start() < b for a, b in spans)]
    starts = [0, *(end.end() for end in ends)]
    parts = (solution[a:b] for a, b in zip(starts, [*(end.start() for end in ends), len(solution)], strict=True))
    return tuple(text for part in parts if (text := " ".join(part.split())))
