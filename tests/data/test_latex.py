"""Solutions in LaTeX: boxes and sentences; and the publisher's folder of MATH."""

import json
from pathlib import Path

import pytest

from rim.data.errors import DataError
from rim.data.latex import sentences
from rim.settings import Data
from tests.data.reading import read


@pytest.mark.parametrize(
    ("solution", "expected"),
    [
        ("One. Two? Three!", ("One.", "Two?", "Three!")),
        ("So $x = 1.5$ and $y. Z$ hold. Then", ("So $x = 1.5$ and $y. Z$ hold.", "Then")),
        ("It is $\\boxed{5}.$ The end.", ("It is $\\boxed{5}.$", "The end.")),
        ("We get\n\\[x = 2. A\\]\nso it is. $y$ is.", ("We get \\[x = 2. A\\] so it is.", "$y$ is.")),
        ("First\n\nsecond", ("First", "second")),
        ("[asy]\ndraw(A);. B\n\nC\n[/asy]\nSee.", ("[asy] draw(A);. B C [/asy] See.",)),
        ("\\begin{align*}\na &= b. C\n\n\\end{align*}", ("\\begin{align*} a &= b. C \\end{align*}",)),
        ("see e.g. this", ("see e.g. this",)),
        ("", ()),
    ],
)
def test_no_sentence_ends_within_a_formula(solution: str, expected: tuple[str, ...]) -> None:
    assert sentences(solution) == expected


def problem(folder: Path, name: str, solution: str) -> None:
    path = folder / "math" / "train" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    row = {"problem": f"{name}?", "level": "Level ?", "type": "Algebra", "solution": solution}
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(row, indent=1).replace("\n", "\r\n").encode())


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("It is $\\boxed{\\frac{1}{\\sqrt{2}}}$, not $\\frac{1}{2}$.", "\\frac{1}{\\sqrt{2}}"),
        ("First $\\boxed{1}$, then $\\boxed{(2, 3]}$.", "(2, 3]"),
        ("So $\\boxed 2$ remain.", "2"),
        ("So $\\fbox{7}$ remain.", "7"),
    ],
)
def test_the_answer_is_in_the_last_box(solution: str, answer: str, tmp_path: Path) -> None:
    problem(tmp_path, "algebra/1.json", solution)
    assert read("math/train", Data(root=str(tmp_path))).examples[0].answer == answer


def test_the_publishers_folder_is_read_by_subject_and_number_and_what_has_no_box_is_counted(tmp_path: Path) -> None:
    for name in ("geometry/2.json", "algebra/10.json", "algebra/9.json"):
        problem(tmp_path, name, f"It is $\\boxed{{{name[0]}}}$.")
    problem(tmp_path, "geometry/1.json", "It is 5.")
    problem(tmp_path, "geometry/3.json", "It is $\\boxed{}$.")
    reading = read("math/train", Data(root=str(tmp_path)))
    assert [example.question for example in reading.examples] == [
        "algebra/9.json?",
        "algebra/10.json?",
        "geometry/2.json?",
    ]
    assert reading.read == 5 and reading.dropped == {"no \\boxed{...} in the solution": 2}
    assert [example.id for example in reading.examples] == ["math/train/0", "math/train/1", "math/train/3"]
    before = reading.origin
    problem(tmp_path, "geometry/1.json", "It is $\\boxed{5}$.")
    assert read("math/train", Data(root=str(tmp_path))).origin != before


def test_a_broken_problem_is_named(tmp_path: Path) -> None:
    (tmp_path / "math" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no problems: it has a folder for each subject"):
        read("math/train", Data(root=str(tmp_path)))
    problem(tmp_path, "algebra/1.json", "")
    with pytest.raises(DataError, match=r"problem algebra/1\.json: 'solution' is ''"):
        read("math/train", Data(root=str(tmp_path)))
    (tmp_path / "math" / "train" / "algebra" / "1.json").write_text("{")
    with pytest.raises(DataError, match=r"problem algebra/1\.json: not valid JSON"):
        read("math/train", Data(root=str(tmp_path)))
