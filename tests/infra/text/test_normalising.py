"""Texts come to the one form that Unicode says, in time that grows with their length, whatever they are made of."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bugrelay.infra.text.normalising import UnusableText, nfc, normalise

USABLE_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80)
MARKS = ("\u0301", "\u0316", "\u0327", "\u0345", "\u0f73", "\u3099", "\u0344", "\U0001d165")
LETTERS = ("e", "\u1ed9", "ᾂ", "\u09c7", "\u1100", "\u1161", "\u11a8", "カ", "😀", "─", "\u212b")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  a  b \n", "a  b"),
        ("a\r\nb\rc\nd\te", "a\nb\nc\nd\te"),
        ("a\x01\x07\x0b\x0c\x1b[0m\x7f\x85\x9fb", "a[0mb"),
        ("e\u0301", "é"),
        ("e\x01\u0301", "é"),
        ("\u00a0\u3000x\u2003", "x"),
        ("a\u200db\u200cc\u202e", "a\u200db\u200cc\u202e"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
    ],
)
def test_text_is_normalised(typed: str, kept: str) -> None:
    assert normalise(typed) == kept


def test_a_title_has_one_line() -> None:
    assert normalise("a\tb\r\nc\rd\u2028e", single_line=True) == "a b c d e"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\0b", "must not contain NUL characters"),
        ("a\ud800", "must not contain lone surrogates"),
        ("\udfff", "must not contain lone surrogates"),
    ],
)
def test_what_cannot_be_stored_is_refused(text: str, message: str) -> None:
    with pytest.raises(UnusableText, match=message):
        normalise(text)


@given(USABLE_TEXT, st.booleans())
@example("\x01\u0301e\x02\u0301 ", False)
@example("\u2028 \u0301", True)
def test_normal_text_is_its_own_normal_form(text: str, single_line: bool) -> None:
    once = normalise(text, single_line=single_line)
    assert normalise(once, single_line=single_line) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == once.strip()
    assert not any(unicodedata.category(char) == "Cc" for char in once if single_line or char not in "\t\n")


@settings(max_examples=500)
@given(st.lists(st.sampled_from(MARKS + MARKS + LETTERS), max_size=120).map("".join) | st.text(max_size=80))
@example("e" + "\u0301\u0316" * 40)
@example("\u0301\u0316" * 40 + "\u1ed9" + "\u0345\u0327" * 40)
@example("😀" * 40 + "\u0301\u0316" * 20)
def test_nfc_is_that_of_unicode_however_many_marks_stand_in_a_row(text: str) -> None:
    assert nfc(text) == unicodedata.normalize("NFC", text)


def test_every_character_that_begins_with_a_mark_is_found_in_a_long_run() -> None:
    characters = (chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF)
    for char in characters:
        if unicodedata.combining(unicodedata.normalize("NFD", char)[0]):
            assert not re.match(r"[\w\x00-\x7f]", char), hex(ord(char))


def test_a_long_run_of_combining_marks_costs_time_in_proportion() -> None:
    def seconds(length: int) -> float:
        text = "e" + "\u0301\u0316" * (length // 2)
        started = time.thread_time()
        assert len(nfc(text)) == length
        return time.thread_time() - started

    # Quadratic work would take 256 times as long for 16 times the length.
    assert min(seconds(64_000) for _ in range(3)) < 80 * min(seconds(4_000) for _ in range(5))


def test_nothing_is_composed_of_more_than_four_characters() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    composed = [char for char in characters if unicodedata.is_normalized("NFC", char)]
    assert max(len(unicodedata.normalize("NFD", char)) for char in composed) == 4


def test_lower_case_decomposes_to_no_less() -> None:
    """So a tag cannot become shorter by it than what was typed allows."""
    for char in map(chr, range(0x110000)):
        assert len(unicodedata.normalize("NFD", char.lower())) >= len(unicodedata.normalize("NFD", char))


@given(st.text(st.sampled_from("aᾂé\u0301\u0345 \r\n\x01\u2000"), max_size=80), st.integers(1, 12))
@example("α\u0313\u0300\u0345" * 12, 12)
@example(" " * 100 + "abc" + "\n" * 100, 3)
def test_a_limit_refuses_no_text_that_fits_and_keeps_all_that_do_not_too_long(text: str, limit: int) -> None:
    whole = normalise(text)
    bounded = normalise(text, max_length=limit)
    assert bounded == whole if len(whole) <= limit else len(bounded) > limit
