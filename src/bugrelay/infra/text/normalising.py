"""Normalisation: the one form in which a text is measured and stored. It never changes or refuses words."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from typing import Final

SURROGATE = re.compile(r"[\ud800-\udfff]")
# C0 except tab and line feed, DEL, and C1.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
LINE_BREAK = re.compile(r"[\t\n\u2028\u2029]")


class UnusableText(ValueError):
    """A text that cannot be stored; the message completes "<field> …" ("must not contain NUL characters")."""


# No character is composed of more, so NFC shortens a text to a quarter of its characters at most.
MAX_COMPOSED_LENGTH: Final = 4
# The Stream-Safe Text Format of UAX #15 allows for 30 non-starters in a row, more than any language writes.
# No combining mark is a letter, a digit or ASCII, so this finds all longer runs, and some runs of symbols.
_LONG_RUN = re.compile(r"[^\w\x00-\x7f]{31,}")


def normalise(text: str, *, single_line: bool = False, max_length: int | None = None) -> str:
    """Return the one form in which a text is measured and stored: NFC, LF, no control characters, trimmed.

    Tabs and line breaks stay; with `single_line` (titles, names) each becomes a space. The function is idempotent. A
    text so long that its NFC certainly has more than `max_length` characters is returned without NFC, since the caller
    will refuse it for its length.

    Raises:
        UnusableText: It has NUL or lone surrogates, which PostgreSQL and UTF-8 cannot represent.
    """
    refuse_unusable(text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # Before NFC, since a letter and its accent may be separated by a control character.
    text = CONTROL.sub("", text)
    if max_length is not None and len(text.strip()) > MAX_COMPOSED_LENGTH * max_length:
        return text.strip()
    text = nfc(text)
    if single_line:
        text = LINE_BREAK.sub(" ", text)
    return text.strip()


def refuse_unusable(text: str) -> None:
    """
    Raises:
        UnusableText: The text has NUL characters or lone surrogates.
    """
    if "\0" in text:
        raise UnusableText("must not contain NUL characters")
    if SURROGATE.search(text):
        raise UnusableText("must not contain lone surrogates")


def nfc(text: str) -> str:
    """Return the NFC of any text, in linear time.

    The library puts combining marks in canonical order by an insertion sort, which is quadratic in the length of a run.
    Long runs are put in that order first, so that nothing is left to sort.
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _LONG_RUN.sub(_in_canonical_order, text))


def _in_canonical_order(run: re.Match[str]) -> str:
    """Return the run decomposed, its combining marks in the order of their classes, which does not change its NFC."""
    decomposed = "".join(unicodedata.normalize("NFD", char) for char in run[0])
    marks_or_not = groupby(decomposed, key=lambda char: unicodedata.combining(char) > 0)
    return "".join(
        "".join(sorted(chars, key=unicodedata.combining) if are_marks else chars)
        for are_marks, chars in marks_or_not
    )
