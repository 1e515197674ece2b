"""Texts come to the one form that Unicode says, in time that grows with their length, whatever they are made of."""

from __future__ import annotations

import re
import time
import unicodedata

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bugrelay.infra.text.plain import nfc, normalise

MARKS = ("\u0301", "\u0316", "\u0327", "\u0345", "\u0f73", "\u3099", "\u0344", "\U0001d165")
LETTERS = ("e", "\u1ed9", "ᾂ", "\u09c7", "\u1100", "\u1161", "\u11a8", "カ", "😀", "─", "\u212b")


@settings(max_examples=500, deadline=None)
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
