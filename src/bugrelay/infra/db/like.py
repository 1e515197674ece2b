"""Patterns of LIKE from what people type."""

from __future__ import annotations


def contains(text: str) -> str:
    """A LIKE pattern for "has this somewhere"; `%` and `_` are ordinary characters."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
