"""Reads the project's Markdown pages: links, anchors, paths that they name and commands that they show."""

import re
import shlex
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
SOURCE = re.compile(r'<(?:img|a)\b[^>]*?\b(?:src|href)="([^"]+)"')
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
CONTINUED = re.compile(r"\\\n\s*")
COMMAND = re.compile(r"python -m rim\.\w+.*")


def pages() -> list[Path]:
    """Every page that is committed for readers."""
    top = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return [*top, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "experiments").glob("**/*.md"))]


def name(page: Path) -> str:
    """A page as it is named in a test's report."""
    return str(page.relative_to(ROOT))


def links(text: str) -> list[str]:
    """Targets of links and images, but for those in code."""
    prose = SPAN.sub("", FENCE.sub("", text))
    return [*LINK.findall(prose), *SOURCE.findall(prose)]


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def broken(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere."""
    found = []
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists():
            found.append(f"{link}: there is no {target}")
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            found.append(f"{link}: {target} has no such heading")
    return found


def paths(text: str) -> list[str]:
    """Files and folders of the project that stand in code spans: `rim/base/tree.py`, `tests/numerics/`."""
    spans = SPAN.findall(FENCE.sub("", text))
    return [span for span in spans if re.fullmatch(r"(?:rim|tests|conf|docs|experiments)/[\w./-]+", span)]


def commands(text: str) -> list[list[str]]:
    """The words of each command that is shown, in a block of code or a code span; comments are left out."""
    blocks = CONTINUED.sub(" ", text)
    shown = [match.group() for line in blocks.splitlines() if "`" not in line for match in COMMAND.finditer(line)]
    shown += [match.group() for span in SPAN.findall(blocks) for match in COMMAND.finditer(span)]
    return [shlex.split(command, comments=True) for command in shown]
