"""Words, options, yes and no, and strings of letters, by tables of real cases."""

import pytest

from rim.data.answers import extract, grade


@pytest.mark.parametrize(
    ("prediction", "gold", "right"),
    [
        ("Tom is a lempus.", "Tom is a lempus.", True),
        ("  tom is  a lempus ", "Tom is a lempus.", True),
        ("Tom\u00a0is a lempus.", "Tom is a lempus.", True),
        ("Tom is a rempus.", "Tom is a lempus.", False),
        ("Tom is a lempus. Tom", "Tom is a lempus.", False),
        ("Bob\nAnn\nCy", "Cy", True),
        ("Bob\nAnn\nCy", "Ann", False),
        ("me\u0301yl", "m\u00e9yl", True),
        ("", "Ann", False),
        (".", "Ann", False),
        ("y", "x >> y", False),
        ("x >> y", "x >> y", True),
        ("<<1+1=2>> <<2+1=3>> Ann", "Ann", True),
    ],
)
def test_text_ignores_case_spaces_and_the_final_stop(prediction: str, gold: str, right: bool) -> None:
    assert grade("text", prediction, gold) is right


@pytest.mark.parametrize(
    ("prediction", "right"),
    [
        ("Tom is a lempus.", True),
        (" Tom  is\u00a0a lempus. \n", True),
        ("Every tom is a tompus.\n### Tom is a lempus.", False),
        ("Every tom is a tompus.\n#### Tom is a lempus.", True),
        ("tom is a lempus.", False),
        ("Tom is a lempus", False),
        ("Tom is lempus.", False),
        ("Tom is an lempus.", False),
        ("Tom is the lempus.", False),
        ("Tom is a rempus.", False),
        ("Tim is a lempus.", False),
        ("Tom is a lempus. Tom is a rempus.", False),
        ("The answer is Tom is a lempus.", False),
        ("", False),
    ],
)
def test_a_sentence_is_compared_as_it_stands(prediction: str, right: bool) -> None:
    assert grade("sentence", prediction, "Tom is a lempus.") is right


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        (" b\n", "B"),
        ("(b)", "B"),
        ("[B]", "B"),
        ("B.", "B"),
        ("B)", "B"),
        ("b)", "B"),
        ("B\u3001", "B"),
        ("B:", "B"),
        ("**B**", "B"),
        ("$\\boxed{B}$", "B"),
        ("\\boxed{\\text{(B)}}", "B"),
        ("\uff08B\uff09", "B"),
        ("\\boxed{\\textbf{(B)}}", "B"),
        ("\\mathrm{B}", "B"),
        ("Answer: B", "B"),
        ("**Answer**: B", "B"),
        ("The answer **is** B", "B"),
        ("The answer is option (B).", "B"),
        ("The correct answer is the letter B", "B"),
        ("Option **B**", "B"),
        ("The answer is (B) because A is wrong", "B"),
        ("ANSWER: (B).", "B"),
        ("the answer is (B) 12", "B"),
        ("The correct option is B", "B"),
        ("So the answer is\nB", "B"),
        ("The answer is A. No, the answer is B.", "B"),
        ("A is wrong.\n#### B", "B"),
        ("A)5(\u221a3 + 1)", "A"),
        ("D)8(\u221a3 \u2013 2)", "D"),
        ("E)None of these", "E"),
        ("B. The blood pressure of Yoruba people", "B"),
        ("J", "J"),
        ("K", None),
        ("BC", None),
        ("Bob", None),
        ("A car", None),
        ("the answer is a car", None),
        ("I think so", None),
        ("B and C", None),
        ("B, C", None),
        ("B or C", None),
        ("(A) or (B)", None),
        ("A. B", None),
        ("A) B) C)", None),
        ("B) 12 or C) 13", None),
        ("not B", None),
        ("The answer is not (B)", None),
        ("(B) is wrong", None),
        ("B) is not the answer", None),
        ("The answer is option a car", None),
        ("\uff08A\uff09\uff08B\uff09", None),
        ("12", None),
        ("", None),
    ],
)
def test_choice_reads_one_letter(text: str, letter: str | None) -> None:
    assert extract("choice", text) == letter


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("yes", "yes"),
        ("No.", "no"),
        ("True", "yes"),
        ("FALSE", "no"),
        ("**Yes**", "yes"),
        ("Yes, since he was born there.", "yes"),
        ("no: it sinks", "no"),
        ("The answer is yes.", "yes"),
        ("**Answer**: \\boxed{\\textbf{Yes}}", "yes"),
        ("Answer: no", "no"),
        ("He swims, so no.\n#### yes", "yes"),
        ("No, wait, yes.", None),
        ("yes, that is false", None),
        ("yes no", None),
        ("Yes it is", None),
        ("not true", None),
        ("yesterday", None),
        ("None", None),
        ("maybe", None),
        ("1", None),
        ("", None),
    ],
)
def test_yes_and_no_are_said_once(text: str, answer: str | None) -> None:
    assert extract("yes_no", text) == answer


@pytest.mark.parametrize(
    ("prediction", "gold", "right"),
    [
        ("yajo", "yajo", True),
        ("YAJO.", "yajo", True),
        ('"y-a-j-o"', "yajo", True),
        ("y a j o", "yajo", True),
        ("The answer is yajo.", "yajo", True),
        ("yaea", "yaeA", True),
        ("me\u0301yl", "m\u00e9yl", True),
        ("meyl", "m\u00e9yl", False),
        ("yaj", "yajo", False),
        ("ayjo", "yajo", False),
        ("yajoo", "yajo", False),
        ("yaj0", "yajo", False),
        ("yajo 5", "yajo", False),
        ("it ends in yajo", "yajo", False),
        ("", "yajo", False),
    ],
)
def test_letters_are_compared_without_what_stands_between_them(prediction: str, gold: str, right: bool) -> None:
    assert grade("letters", prediction, gold) is right
