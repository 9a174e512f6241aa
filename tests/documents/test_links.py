"""Links of README, docs and experiments lead somewhere, and the files that pages name exist."""

from pathlib import Path

import pytest

from tests.documents.pages import ROOT, anchors, broken, commands, links, name, pages, paths


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_and_anchors_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


@pytest.mark.parametrize("page", [page for page in pages() if "experiments" not in page.parts], ids=name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = paths(page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_page_of_docs_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in links((ROOT / "README.md").read_text(encoding="utf-8"))}
    assert {name(page) for page in (ROOT / "docs").glob("*.md")} <= linked


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](#one) [b](other.md) [c](#two) [d](https://example.org) `[e](gone.md)`\n")
    assert [line.partition(":")[0] for line in broken(page)] == ["other.md", "#two"]


def test_anchors_are_those_of_github() -> None:
    text = "# What it *costs*\n## `rim.fit`, again\n### [Link](a.md) & more\n## What it costs\n```\n# no heading\n```\n"
    assert anchors(text) == {"what-it-costs", "rimfit-again", "link--more", "what-it-costs-1"}


def test_commands_are_found_in_blocks_and_in_spans() -> None:
    block = "    python -m rim.fit --config a.yaml \\\n        x=1   # why\n"
    text = f"{block}as `.venv/bin/python -m rim.show 'b=[1, 2]'` does"
    assert commands(text) == [
        ["python", "-m", "rim.fit", "--config", "a.yaml", "x=1"],
        ["python", "-m", "rim.show", "b=[1, 2]"],
    ]
