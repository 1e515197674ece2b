"""LIKE patterns from typed text."""

from __future__ import annotations


def contains(text: str) -> str:
    """A LIKE pattern that matches texts which contain this one; `%`, `_` and backslashes are escaped."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
