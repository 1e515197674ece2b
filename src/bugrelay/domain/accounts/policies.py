"""Whether an account may be used; pure functions of the facts."""

from __future__ import annotations

from datetime import datetime


def is_banned(banned_at: datetime | None, banned_until: datetime | None, *, now: datetime) -> bool:
    """A ban with an end is over when that has passed, also before its job has lifted it."""
    return banned_at is not None and (banned_until is None or banned_until > now)
