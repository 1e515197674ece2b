"""Whether an account may be used: pure functions."""

from __future__ import annotations

from datetime import datetime


def is_banned(banned_at: datetime | None, banned_until: datetime | None, *, now: datetime) -> bool:
    """Whether an account is banned at `now`; a ban ends at `banned_until`, even before a job has lifted it."""
    return banned_at is not None and (banned_until is None or banned_until > now)
