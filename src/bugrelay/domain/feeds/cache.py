"""Cache keys of feeds; entries are invalidated with the bugs that they show (domain/bugs/cache.py)."""

from __future__ import annotations

from uuid import UUID

from bugrelay.domain.feeds.schemas import FeedQuery


def list_key(query: FeedQuery) -> str:
    """The key of a list, from the canonical form of its query."""
    return f"atom?{query.query_string}"


def bug_key(bug_id: UUID) -> str:
    return f"atom/{bug_id}"
