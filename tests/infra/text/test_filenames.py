"""Names of files lose what would trick somebody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bugrelay.infra.text.filenames import FILENAME_LENGTH, clean_filename
from bugrelay.infra.text.normalising import normalise


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("shot.png", "shot.png"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\Users\\eve\\a.png", "a.png"),
        ("C:a.png", "a.png"),
        ("a/b\\c.png", "c.png"),
        ("..", "file"),
        ("", "file"),
        (" . ", "file"),
        ("dir/", "file"),
        ("a\0b\r\nc\x1b.png", "ab c.png"),
        ("exe.\u202egnp.jpg", "exe.gnp.jpg"),
        ("x\ud800.png", "x.png"),
        ("скриншот 1.png", "скриншот 1.png"),
        ("a" * 300 + ".jpeg", "a" * 250 + ".jpeg"),
        ("a" * 300, "a" * 255),
        ("a." + "b" * 300, "a." + "b" * 253),
    ],
)
def test_file_names_lose_paths_and_tricks(sent: str, shown: str) -> None:
    assert clean_filename(sent) == shown


@given(st.text(st.characters(), max_size=400) | st.text("./\\: aé\u202e\0\n", max_size=400))
def test_any_file_name_can_be_shown_and_stored(sent: str) -> None:
    name = clean_filename(sent)
    assert 1 <= len(name) <= FILENAME_LENGTH
    assert clean_filename(name) == name
    assert normalise(name, single_line=True) == name
    assert not set(name) & set("/\\\u202e")
    assert name.strip(". ")
