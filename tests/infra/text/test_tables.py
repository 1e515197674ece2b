"""CSV that a spreadsheet shows and does not run."""

from __future__ import annotations

import csv
import io

import pytest

from bugrelay.infra.text.tables import to_csv


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"])
def test_a_text_that_would_be_a_formula_begins_with_an_apostrophe(text: str) -> None:
    table = to_csv(["a"], [[text]]).decode()
    assert list(csv.reader(io.StringIO(table, newline=""))) == [["a"], ["'" + text]]


def test_other_cells_are_as_they_are() -> None:
    table = to_csv(["name", "count"], [['a, "b"\nc', -1], [None, 2.5], ["登录-失败", 0]]).decode()
    assert list(csv.reader(io.StringIO(table, newline=""))) == [
        ["name", "count"],
        ['a, "b"\nc', "-1"],
        ["", "2.5"],
        ["登录-失败", "0"],
    ]
