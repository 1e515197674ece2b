"""A field that was changed: part of a fact, and of an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_VALUE_LENGTH = 255  # characters; longer values are in ticket_edits
INTERNAL_FIELDS = ("internal_notes",)
"""Fields that reporters do not see."""


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """A change of one field, with its old and new value; `is_long` where these are in ticket_edits."""

    field: str
    old: Any
    new: Any
    is_long: bool = False
