"""Text in two directions, in lines that are not its writer's alone."""

from __future__ import annotations

import re

# Embeddings, overrides and isolates of UAX #9. Marks are none of them: right-to-left text needs those.
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def without_reordering(text: str) -> str:
    """The text without what could turn around the words behind it: to show a file's ending, an address or our own words
    as something else."""
    return _REORDERING.sub("", text)
