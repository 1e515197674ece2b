"""Names of uploaded files, cleaned for display."""

from __future__ import annotations

import re
from typing import Final

from bugrelay.infra.text.normalising import CONTROL, LINE_BREAK, SURROGATE, nfc

FILENAME_LENGTH: Final = 255

# Marks, embeddings, overrides and isolates, which reorder the text around them.
_BIDI = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_DRIVE = re.compile(r"^[A-Za-z]:")
_MAX_EXTENSION_LENGTH: Final = 20


def clean_filename(text: str) -> str:
    """Return the name of an uploaded file for display: without path, control and reordering characters.

    It has at most 255 characters; a longer name is cut before its extension. If only dots and spaces are left, the
    name is "file". Never raises.
    """
    name = re.split(r"[/\\]", text)[-1]
    name = _BIDI.sub("", CONTROL.sub("", SURROGATE.sub("", LINE_BREAK.sub(" ", name))))
    name = _DRIVE.sub("", nfc(name).strip()).strip()
    if not name.strip(". "):
        return "file"
    if len(name) <= FILENAME_LENGTH:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > _MAX_EXTENSION_LENGTH:
        return name[:FILENAME_LENGTH].rstrip()
    return stem[: FILENAME_LENGTH - len(extension) - 1] + dot + extension
