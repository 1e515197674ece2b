"""What a tag may hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bugrelay.infra.text.normalising import UnusableText
from bugrelay.infra.text.tags import clean_tag


@pytest.mark.parametrize(
    ("typed", "tag"),
    [
        ("  UI ", "ui"),
        ("C++", "c++"),
        ("c#", "c#"),
        (".NET", ".net"),
        ("dark mode", "dark mode"),
        ("@scope/pkg:v1_2", "@scope/pkg:v1_2"),
        ("it's (not) R&D-2", "it's (not) r&d-2"),
        ("ÄRGER", "ärger"),
        ("日本語", "日本語"),
        ("हिन्दी", "हिन्दी"),
        ("٣٤", "٣٤"),
        ("E\u0301", "é"),
        ("x" * 50, "x" * 50),
        ("a\tb", "a b"),
    ],
)
def test_tags_are_trimmed_and_lowered(typed: str, tag: str) -> None:
    assert clean_tag(typed) == tag


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "must have 1 to 50 characters"),
        (" \t ", "must have 1 to 50 characters"),
        ("x" * 51, "must have 1 to 50 characters"),
        ("a,b", 'must not contain "," (U+002C)'),
        ("<b>", 'must not contain "<" (U+003C)'),
        ('say "x"', 'must not contain """ (U+0022)'),
        ("🎉", 'must not contain "🎉" (U+1F389)'),
        ("a\u200bb", "must not contain the character (U+200B)"),
        ("a\u202eb", "must not contain the character (U+202E)"),
        ("two  spaces", "must not contain two spaces in a row"),
        ("a\0", "must not contain NUL characters"),
    ],
)
def test_a_bad_tag_is_refused_by_its_reason(typed: str, message: str) -> None:
    with pytest.raises(UnusableText, match=f"^{re.escape(message)}$"):
        clean_tag(typed)


@given(st.text(st.characters(categories=["L", "M", "Nd"]), min_size=1, max_size=20))
@example("İ")
@example("ΑΣ")
def test_letters_digits_and_marks_of_any_script_make_a_stable_tag(text: str) -> None:
    tag = clean_tag(text)
    assert clean_tag(tag) == tag
