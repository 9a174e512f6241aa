"""Files of a report: what is written, what goes, and what a failure leaves."""

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from rim.base.files import SaveError
from rim.report.publish import write_figure, write_report


def test_all_files_are_written_and_figures_that_do_not_apply_go(tmp_path: Path) -> None:
    for name in ("old", "mine"):
        (tmp_path / f"{name}.png").write_bytes(b"old")
    files = write_report(tmp_path, "# é\n", "a\n1\n", {"a": [1]}, {"old": None, "new": Figure(), "none": None})
    assert files == [tmp_path / name for name in ("table.md", "table.csv", "results.json", "new.png")]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mine.png", "new.png", "results.json", "table.csv", "table.md",
    ]  # fmt: skip
    assert files[0].read_text(encoding="utf-8") == "# é\n" and files[1].read_text() == "a\n1\n"
    assert json.loads(files[2].read_text()) == {"a": [1]}


@pytest.mark.parametrize(("suffix", "begin"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_suffix_chooses_the_form(tmp_path: Path, suffix: str, begin: bytes) -> None:
    path = tmp_path / "below" / f"figure.of.it{suffix}"
    assert write_figure(Figure(), path) == path
    assert path.read_bytes().startswith(begin) and [*path.parent.iterdir()] == [path]


def test_a_figure_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(SaveError, match=r"file/figure\.png could not be written: "):
        write_figure(Figure(), tmp_path / "file" / "figure.png")
    assert (tmp_path / "file").read_bytes() == b"old"
