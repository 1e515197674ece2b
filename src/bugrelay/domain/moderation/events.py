"""Facts of moderation: bans and flags.

What moderators do to bugs, comments and votes are facts of the board (domain/bugs/events.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class UserBanned:
    """The user was banned until `until`, or permanently (None); for a banned user, the end of the ban has changed."""

    user_id: UUID
    until: datetime | None
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class UserUnbanned:
    """The ban was lifted by an admin, or has ended (`actor_id` None)."""

    user_id: UUID
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class BugFlagged:
    """A user flagged the bug, or an admin put it into the moderators' queue."""

    bug_id: UUID
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class CommentFlagged:
    """A user flagged the comment."""

    comment_id: UUID
    actor_id: UUID


CHANGES_NOTHING_PUBLIC: tuple[type, ...] = (UserBanned, UserUnbanned, BugFlagged, CommentFlagged)
"""Facts that no cached response shows; the effect of a ban on votes is a separate fact."""

WRITES_NO_EVENT: tuple[type, ...] = (UserBanned, UserUnbanned, BugFlagged, CommentFlagged)
"""Facts without an event; they are in the audit log and the queue."""
