"""Tags: short, in lower case, with a limited set of characters."""

from __future__ import annotations

import unicodedata
from typing import Final

from bugrelay.infra.text.normalising import MAX_COMPOSED_LENGTH, UnusableText, normalise

TAG_LENGTH: Final = 50
MAX_TAGS: Final = 10

_TAG_SIGNS: Final = frozenset(" -_.+#&@/:()'")


def clean_tag(text: str) -> str:
    """Return a tag normalised and in lower case.

    Allowed are 1-50 letters, digits and marks of any script, single spaces, and - _ . + # & @ / : ( ) '. A tag is
    trimmed and lower-cased, but not repaired any further: two spaces in a row are refused like an invalid character.

    Raises:
        UnusableText: The message says what is not allowed.
    """
    tag = normalise(text, single_line=True, max_length=TAG_LENGTH)
    if len(tag) <= MAX_COMPOSED_LENGTH * TAG_LENGTH:
        tag = normalise(tag.lower(), single_line=True)
    if not 1 <= len(tag) <= TAG_LENGTH:
        raise UnusableText(f"must have 1 to {TAG_LENGTH} characters")
    bad = next((char for char in tag if not _fits_tag(char)), None)
    if bad is not None:
        shown = f'"{bad}"' if bad.isprintable() else "the character"
        raise UnusableText(f"must not contain {shown} (U+{ord(bad):04X})")
    if "  " in tag:
        raise UnusableText("must not contain two spaces in a row")
    return tag


def _fits_tag(char: str) -> bool:
    return char in _TAG_SIGNS or char.isdigit() or unicodedata.category(char)[0] in "LM"
