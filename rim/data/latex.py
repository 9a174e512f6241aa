"""Solutions in LaTeX: the answer in the last `\\boxed{...}`, and the sentences around formulas."""

import re

FORMULA = re.compile(
    r"\$\$.*?\$\$|\$.*?\$|\\\[.*?\\\]|\\\(.*?\\\)|\[asy\].*?\[/asy\]|\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.DOTALL
)
"""What no sentence ends within."""
END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?]\$)|(?<=[.!?]\\[\])]))\s+(?=[A-Z$\\\[])|\n\s*\n")
"""Where a sentence ends: after its stop, before a capital letter or a formula, or at an empty line."""
BOX = re.compile(r"\\f?boxed(\s*\{|\s+)|\\fbox(\s*\{)")
BRACE = re.compile(r"(?<!\\)[{}]")


def last_boxed(solution: str) -> str | None:
    """The content of the last box, or None without one; braces nest, and `\\boxed 2` has none.

    The rule of github.com/hendrycks/math, `modeling/dataset/util.py`, `last_boxed_only_string`.
    """
    found = list(BOX.finditer(solution))
    if not found:
        return None
    rest = solution[found[-1].end() :]
    if not found[-1][0].endswith("{"):
        return rest.split("$")[0].strip().removesuffix(".") or None
    depth = 1
    for brace in BRACE.finditer(rest):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return rest[: brace.start()].strip() or None
    return None


def sentences(solution: str) -> tuple[str, ...]:
    """The sentences of a solution, spaces made plain; none ends within a formula."""
    spans = [match.span() for match in FORMULA.finditer(solution)]
    ends = [end for end in END.finditer(solution) if not any(a < end.start() < b for a, b in spans)]
    starts = [0, *(end.end() for end in ends)]
    parts = (solution[a:b] for a, b in zip(starts, [*(end.start() for end in ends), len(solution)], strict=True))
    return tuple(text for part in parts if (text := " ".join(part.split())))
