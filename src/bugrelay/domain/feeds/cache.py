"""Under which keys feeds are cached; they are dropped with what they show (domain/bugs/cache.py)."""

from __future__ import annotations

from uuid import UUID

from bugrelay.domain.feeds.schemas import FeedQuery


def list_key(query: FeedQuery) -> str:
    """One key for all spellings of a query."""
    return f"atom?{query.query_string}"


def bug_key(bug_id: UUID) -> str:
    return f"atom/{bug_id}"
