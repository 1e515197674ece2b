"""Bidirectional text inside lines with other text."""

from __future__ import annotations

import re

# Embeddings, overrides and isolates of UAX #9. Marks stay: right-to-left text needs them.
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def without_reordering(text: str) -> str:
    """The text without characters that reorder the text after it, which could disguise a file's extension, an address
    or words of the page."""
    return _REORDERING.sub("", text)
