"""What has happened on the board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
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
class ActedAsAdmin:
    """On a bug that is not theirs, somebody did what they may do only as a system admin.

    `resource_id` is the bug's or the picture's; `before` and `after` are what the act changed, under the same keys.
    """

    admin_id: UUID
    action: Literal["bug_status_change", "bug_respond", "attachment_add", "attachment_remove"]
    resource: Literal["bug", "attachment"]
    resource_id: UUID
    before: dict[str, Any]
    after: dict[str, Any]
