"""Markdown and CSV against cells written out by hand."""

import pytest

from rim.report.tables import csv_of, table, wide_table


def test_a_table_is_aligned_markdown():
    rows = [("block 1", 0.5), ("block 10 (final)", "1|2"), ("two\nlines", "")]
    assert table(rows, ("read after", "n")).split("\n") == [
        "| read after       |    n |",
        "| ---------------- | ---: |",
        "| block 1          |  0.5 |",
        "| block 10 (final) | 1\\|2 |",
        "| two lines        |      |",
    ]  # fmt: skip


def test_columns_of_words_are_aligned_as_words():
    rows = [("rim", "updates", "—", "**1.5** (1 to 2)", "met"), ("direct_1", "4,000", "cot", "—", "not met")]
    assert table(rows, ("entry", "budget", "start", "ratio", "bar")).split("\n") == [
        "| entry    |  budget | start |            ratio | bar     |",
        "| -------- | ------: | ----- | ---------------: | ------- |",
        "| rim      | updates | —     | **1.5** (1 to 2) | met     |",
        "| direct_1 |   4,000 | cot   |                — | not met |",
    ]  # fmt: skip


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"the row \['1', '2'\] has 2 cells, the header 1: \['a'\]"):
        table([(1, 2)], ("a",))


def test_columns_beyond_the_most_go_into_further_tables_with_the_first_column():
    rows = [("rim", 1, 2, 3), ("cot", 4, 5, 6)]
    assert wide_table(rows, ("entry", "a", "b", "c"), 2) == "\n\n".join(
        [table([("rim", 1, 2), ("cot", 4, 5)], ("entry", "a", "b")), table([("rim", 3), ("cot", 6)], ("entry", "c"))]
    )
    for wrong in [("rim", 1, 2), ("rim", 1, 2, 3, 4)]:
        with pytest.raises(ValueError, match="cells, the header"):
            wide_table([wrong], ("entry", "a", "b", "c"), 3)


def test_a_csv_has_the_columns_of_all_rows_and_empty_cells():
    assert csv_of([{"a": 1}, {"b": "x,y", "a": 2}, {}]) == 'a,b\n1,\n2,"x,y"\n,\n'
