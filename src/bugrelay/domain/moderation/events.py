"""What moderators have done to people, and what people have reported to them: facts in the past tense.

What they do to bugs, comments and votes are facts of the board (domain/bugs/events.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class UserBanned:
    """The user is kept out, until `until` or for good; a ban on a ban has changed when it ends."""

    user_id: UUID
    until: datetime | None
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class UserUnbanned:
    """The user is let in again: by an admin, or by the clock (`actor_id` None)."""

    user_id: UUID
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class BugFlagged:
    """Somebody reported the bug to the moderators, or an admin put it into their queue."""

    bug_id: UUID
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class CommentFlagged:
    """Somebody reported the comment to the moderators."""

    comment_id: UUID
    actor_id: UUID


CHANGES_NOTHING_PUBLIC: tuple[type, ...] = (UserBanned, UserUnbanned, BugFlagged, CommentFlagged)
"""Facts that no cached response shows; that a ban suspends votes is a fact of its own."""

WRITES_NO_EVENT: tuple[type, ...] = (UserBanned, UserUnbanned, BugFlagged, CommentFlagged)
"""Facts that the event log does not tell of: the audit log and the queue do."""
