"""When names are the same, and that their key fits an index."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bugrelay.infra.text.names import name_key

ANY_TEXT = st.text(max_size=80)


@pytest.mark.parametrize("name", ["MyApp", " myapp ", "MYAPP", "ＭｙＡｐｐ", "myapp\n", "\u00a0MyApp"])
def test_names_are_the_same_without_case_width_and_outer_space(name: str) -> None:
    assert name_key(name) == "myapp"


def test_names_are_the_same_composed_or_not_and_however_they_are_spaced() -> None:
    assert name_key("Café  \t App") == name_key("CAFE\u0301 APP")
    assert name_key("STRASSE") == name_key("Straße")


def test_different_names_stay_different() -> None:
    names = ["My App", "MyApp", "MyApp2", "Му App", "C", "C#", "C++", "cafe", "café"]
    assert len({name_key(name) for name in names}) == len(names)


@settings(max_examples=500)
@given(ANY_TEXT | st.text(min_size=150, max_size=400))
@example("´a")
@example("ͅΆ")
@example("ﷺ" * 255)
def test_a_key_is_its_own_key_and_fits_an_index(name: str) -> None:
    key = name_key(name)
    assert name_key(key) == key
    assert len(key) <= 300


def test_every_single_character_has_a_stable_key() -> None:
    characters = (chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF)
    unstable = [char for char in characters if name_key(name_key(char)) != name_key(char)]
    assert not unstable


def test_long_names_with_one_beginning_keep_different_keys() -> None:
    assert name_key("ﷺ" * 250 + "a") != name_key("ﷺ" * 250 + "b")
