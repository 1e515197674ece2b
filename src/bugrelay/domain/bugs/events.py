"""What has happened on the board."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class BugChanged:
    """Something that the public sees of a bug is different now: it was reported, voted for, commented, edited …"""

    bug_id: UUID


@dataclass(frozen=True)
class VotesRecounted:
    """The votes of one user count, or count no more, on all of these bugs at once."""

    bug_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class AttachmentRemoved:
    """No row names this file any more."""

    storage_key: str
