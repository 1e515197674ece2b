"""Facts of the board, in the past tense, with ids and short values.

`company_id` is the company that the bug is assigned to after the change; `actor_id` is the acting user, None for
anonymous reporters, commands and jobs. The time of a fact is that of its transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

MAX_VALUE_LENGTH = 255  # characters


def short_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a fact may contain: texts of up to 255 characters, and lists of texts with that many in all.

    Longer ones are stored only where a moderator can remove them.
    """
    return {name: value for name, value in values.items() if _length(value) <= MAX_VALUE_LENGTH}


def _length(value: str | list[str] | None) -> int:
    return len(value) if isinstance(value, str) else sum(map(len, value or ()))


# --- bugs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class BugReported:
    """A bug was reported."""

    bug_id: UUID
    company_id: UUID | None
    application_id: UUID
    title: str
    status: str
    priority: str
    tags: tuple[str, ...]
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class BugImported:
    """A bug was imported from another tracker, where it was reported at `created_at`."""

    bug_id: UUID
    company_id: UUID | None
    application_id: UUID
    title: str
    status: str
    priority: str
    tags: tuple[str, ...]
    external_id: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class BugEdited:
    """The reporter edited these fields; `former` has their former values, except long ones.

    The row `edit_id` of the history has all of them.
    """

    bug_id: UUID
    company_id: UUID | None
    edit_id: UUID
    fields: tuple[str, ...]
    former: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class BugReassigned:
    """The bug was assigned to another company with its application, or to none."""

    bug_id: UUID
    company_id: UUID | None
    former_company_id: UUID | None
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class StatusChanged:
    """The status changed from `old` to `new`, on behalf of `answering_company_id`; None for a system admin.

    `change_id` is the row of the history.
    """

    bug_id: UUID
    company_id: UUID | None
    change_id: UUID
    old: str
    new: str
    answering_company_id: UUID | None
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class BugRemoved:
    """A moderator removed the bug, or its anonymous reporter withdrew it (`actor_id` None).

    `chain` is the bug and all that it is merged into, in turn.
    """

    bug_id: UUID
    company_id: UUID | None
    chain: tuple[UUID, ...]
    removed_at: datetime
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class BugRestored:
    """A moderator restored the bug. `chain` is the bug and all that it is merged into, in turn."""

    bug_id: UUID
    company_id: UUID | None
    chain: tuple[UUID, ...]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class BugMerged:
    """A moderator merged the bug into `target_id`; its comments and pictures are shown there, its votes count there.

    `note_id` is BugRelay's own comment on the target that names the bug.
    """

    bug_id: UUID
    company_id: UUID | None
    target_id: UUID
    target_company_id: UUID | None
    note_id: UUID
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class BugUnmerged:
    """A moderator undid the merge into `target_id`. `chain` is the bug and all that it was merged into, in turn."""

    bug_id: UUID
    company_id: UUID | None
    target_id: UUID
    target_company_id: UUID | None
    chain: tuple[UUID, ...]
    actor_id: UUID


# --- votes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class VoteCast:
    """A vote was added; `vote_count` is the count with it."""

    bug_id: UUID
    actor_id: UUID
    vote_count: int


@dataclass(frozen=True, kw_only=True)
class VoteWithdrawn:
    """A vote was withdrawn; `vote_count` is the count without it."""

    bug_id: UUID
    actor_id: UUID
    vote_count: int


@dataclass(frozen=True, kw_only=True)
class VotesSuspended:
    """The votes of a user for these bugs do not count any more, since the user was banned."""

    user_id: UUID
    bug_ids: tuple[UUID, ...]
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class VotesReinstated:
    """The votes of a user for these bugs count again, since the ban has ended."""

    user_id: UUID
    bug_ids: tuple[UUID, ...]
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class VotesCounted:
    """The vote count of a bug has changed since its last event; recorded by a job."""

    bug_id: UUID
    company_id: UUID | None
    vote_count: int
    actor_id: None = None


# --- comments ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CommentAdded:
    """A user commented; an official response is `ResponseAdded`."""

    comment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class ResponseAdded:
    """An official response was posted on behalf of `answering_company_id`; None for a system admin."""

    comment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    answering_company_id: UUID | None
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class CommentEdited:
    """The author edited a comment or an official response."""

    comment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class CommentWithdrawn:
    """The author withdrew a comment or an official response."""

    comment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class CommentRemoved:
    """A moderator removed the comment."""

    comment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    removed_at: datetime
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class CommentRestored:
    """A moderator restored the comment."""

    comment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    actor_id: UUID


# --- pictures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AttachmentAdded:
    """A picture was attached to the bug."""

    attachment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    filename: str
    mime_type: str
    size_bytes: int
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class AttachmentRemoved:
    """A picture was removed from the bug."""

    attachment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    actor_id: UUID


# --- for the audit log ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ActedAsAdmin:
    """A user did to another user's bug what only a system admin may do.

    `resource_id` is the bug's or the picture's id; `before` and `after` have the changed values, under the same keys.
    """

    admin_id: UUID
    action: Literal["bug_status_change", "bug_respond", "attachment_add", "attachment_remove"]
    resource: Literal["bug", "attachment"]
    resource_id: UUID
    before: dict[str, Any]
    after: dict[str, Any]


CHANGES_NOTHING_PUBLIC: tuple[type, ...] = (VotesCounted, ActedAsAdmin)
"""Facts that no cached response shows."""

WRITES_NO_EVENT: tuple[type, ...] = (VoteCast, VoteWithdrawn, VotesSuspended, VotesReinstated, ActedAsAdmin)
"""Facts without an event: a job writes the vote counts to the event log, and the audit log has the admins' acts."""
