"""LaTeX: answers as they stand in MATH, what is the same, and what only looks so."""

import pytest

from rim.data.answers import extract, grade, size


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{\dfrac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{1} is wrong, \boxed{\left( 3, \frac{\pi}{2} \right)}.", r"(3,\frac{\pi}{2})"),
        (r"The sum is $\boxed 2$.", "2"),
        (r"\fbox{7}", "7"),
        (r"\boxed{7", "7"),
        (r"\boxed{\left\{ x \right.}", r"\{x"),
        ("72}", "72"),
        ("The answer is $x = 5$.", "x=5"),
        ("1 + 1 = 2\n#### 2", "2"),
        (r"\boxed{9} #### \boxed{8}", "8"),
        (r"\boxed{9} #### 8", "8"),
        ("10,\\!080", "10,080"),
        (r"5\,\text{cm}^2", r"5\text{cm}^2"),
        (r"\boxed{\begin{pmatrix}1\\{2}\end{pmatrix}}", r"\begin{pmatrix}1\\{2}\end{pmatrix}"),
        (r"**Answer**: $x$", "x"),
        (r"\boxed{}", None),
        ("", None),
    ],
)
def test_the_last_box_is_the_answer(text: str, answer: str | None) -> None:
    assert extract("latex", text) == answer


RIGHT = [
    ("0.5", r"\frac{1}{2}"), (".5", r"\frac{1}{2}"), ("1/2", r"\frac12"), (r"\tfrac34", r"\frac{3}{4}"),
    (r"\frac{-1}{2}", r"-\frac{1}{2}"), (r"\frac{6}{4}", r"1\frac{1}{2}"), ("10080", "10,080"), ("10{,}080", "10080"),
    ("3.", "3"), ("3.0", "3"), (r"\$5.50", "5.5"), ("50", r"50\%"), ("90", r"90^\circ"), ("5", r"5\text{ cm}"),
    (r"5\text{ inches}", r"5\text{ inche}"), (r"5 \mbox{ cm}^2", r"5\text{ cm}^{2}"), (r"\sqrt{8}", r"2\sqrt{2}"),
    (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"), ("(x+1)^2", "x^2+2x+1"), ("-1+4x", "4x-1"), ("y=2x", "2x"),
    ("5", "x=5"), ("2,1", "1,2"), (r"\{2, 1\}", r"\{1,2\}"), (r"(-\infty, 3]", r"(-\infty,3]"),
    (r"x \ge 5", r"5 \le x"), (r"\left(3, \frac{\pi}{2}\right)", r"(3,\pi/2)"), ("Evelyn", r"\text{Evelyn}"),
    (r"\text{evelyn}", "Evelyn"), ("(B)", r"\text{B}"), (r"\text{(B)}", "B"), ("no", r"\text{no}"),
    ("1210_5", "1210_{5}"), (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ("90°", r"90^\circ"), (r"90\degree", "90"), (r"\bigl(1, 2\bigr)", "(1,2)"), (r"\mathbb R", r"\mathbb{R}"),
    (r"\varnothing", r"\emptyset"), (r"x \in (1,2]", "(1,2]"), ("[-2,7]", r"x \in [-2,7]"), ("ABC", r"\text{ABC}"),
    (r"\frac{N}{2}", "N/2"), (r"2\Omega x", r"2x\Omega"), ("N=5", "5"),
    (r"12\pi\text{ cm}^3", r"12\pi"), (r"12\pi", r"12\pi\text{ square feet}"),
    (r"5\text{ thousand}", r"5\text{ thousand}"),
    (r"6 \pm 2", "4,8"), ("1+2i", "2i+1"), (r"\text{June } 20", r"\text{June } 20"),
]  # fmt: skip
WRONG = [
    ("0.333333", r"\frac{1}{3}"), ("1000001", "1000000"), ("-5", "5"), ("1 2", "12"), ("34", "3,4"), ("2", "2,3"),
    ("(2,1)", "(1,2)"), ("1,2", "(1,2)"), (r"\{1,2\}", "(1,2)"), ("(2,1)", "1,2"), ("[0,1]", "[0,1)"), ("0.5", r"50\%"),
    (r"5\text{ m}", r"5\text{ cm}"), (r"5\text{ cm}^3", r"5\text{ cm}^2"), (r"5\text{ million}", "5"),
    ("72 apples", "72"), ("72 or 73", "72"), (r"7 \text{ or } 8", "7"), (r"\text{not } 7", "7"), ("5t", "5"),
    ("3m", "3"), ("4", "4s"), ("1210", "1210_5"), ("1210_6", "1210_5"), ("neve", "even"), (r"\text{odd}", "even"),
    (r"\text{June 20}", "20"), ("-i", "i"), ("3.14", r"\pi"), (r"\frac{2}{1}", r"\frac{1}{2}"), ("(C)", r"\text{B}"),
    (r"\begin{pmatrix}2\\1\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"), (r"x > 5", r"x \ge 5"), ("x^3", "x^2"),
    ("N^2", "n^2"), (r"\frac{X}{2}", "x/2"), (r"2\Pi", r"2\pi"), ("xY", "Xy"), ("(A,B)", "(a,b)"), ("x+X", "2x"),
    ("ABC", "CBA"), ("AB", "ab"), (r"7\text{ or more}", "7"), (r"5\text{ and a half}", "5"), (r"x\in[1,2]", "(1,2)"),
    (r"5\text{ million dollars}", "5"), (r"12\pi\text{ cm}^3", r"12\pi\text{ cm}^2"), (r"x \in (1,2)", r"\{1,2\}"),
    (r"\sqrt{3}", r"\sqrt{2}"), ("2.718282", "E"), ("", "5"), ("{", "5"), (r"\frac{1}{", r"\frac{1}{2}"), ("?", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("prediction", "gold"), RIGHT)
def test_the_same_mathematics_is_right(prediction: str, gold: str) -> None:
    assert grade("latex", prediction, gold) and grade("latex", rf"so \boxed{{{prediction}}}.", rf"\boxed{{{gold}}}")


@pytest.mark.parametrize(("prediction", "gold"), WRONG)
def test_what_only_looks_alike_is_wrong(prediction: str, gold: str) -> None:
    assert not grade("latex", prediction, gold) and not grade("latex", rf"so \boxed{{{prediction}}}.", gold)


@pytest.mark.parametrize(
    ("gold", "bucket"),
    [("10,080", "5 digits"), (r"5\text{ cm}", "1 digit"), (r"\frac{31}{2}", "2 digits"), ("x+1", "expression")],
)
def test_size_is_that_of_the_number(gold: str, bucket: str) -> None:
    assert size("latex", gold) == bucket
