"""What has happened on the board: facts in the past tense, with ids and values.

`company_id` is the company that the bug is assigned to, as it stood with the change; `actor_id` is who did it, None for
the anonymous, the command line and the clock. All happened at the time of their transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

MAX_VALUE_LENGTH = 255  # characters


def short_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a fact may hold of these: texts of up to 255 characters, and lists of texts with no more in all.

    Longer ones stay where a moderator can remove them.
    """
    return {name: value for name, value in values.items() if _length(value) <= MAX_VALUE_LENGTH}


def _length(value: str | list[str] | None) -> int:
    return len(value) if isinstance(value, str) else sum(map(len, value or ()))


# --- bugs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class BugReported:
    """A bug is on the board."""

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
    """A bug of another tracker is on the board, as it was there at `created_at`."""

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
    """The reporter corrected these fields; `former` has their values from before, but for long ones.

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
    """The bug has followed its application to another company, or to none."""

    bug_id: UUID
    company_id: UUID | None
    former_company_id: UUID | None
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class StatusChanged:
    """From `old` to `new`, in the name of `answering_company_id`; None for a system admin.

    The row `change_id` of the history says the same.
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
    """A moderator took the bug from the board, or its anonymous reporter withdrew it (`actor_id` None).

    `chain` is the bug and all that it is merged into, in turn.
    """

    bug_id: UUID
    company_id: UUID | None
    chain: tuple[UUID, ...]
    removed_at: datetime
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class BugRestored:
    """A moderator brought the bug back. `chain` is the bug and all that it is merged into, in turn."""

    bug_id: UUID
    company_id: UUID | None
    chain: tuple[UUID, ...]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class BugMerged:
    """A moderator merged the bug into `target_id`; its comments and pictures are shown there, its votes count there.

    `note_id` is the comment by which BugRelay says so on the target.
    """

    bug_id: UUID
    company_id: UUID | None
    target_id: UUID
    target_company_id: UUID | None
    note_id: UUID
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class BugUnmerged:
    """A moderator took the merge into `target_id` back. `chain` is the bug and all that it was merged into, in turn."""

    bug_id: UUID
    company_id: UUID | None
    target_id: UUID
    target_company_id: UUID | None
    chain: tuple[UUID, ...]
    actor_id: UUID


# --- votes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class VoteCast:
    """A vote that was not there counts; `vote_count` as it stands with it."""

    bug_id: UUID
    actor_id: UUID
    vote_count: int


@dataclass(frozen=True, kw_only=True)
class VoteWithdrawn:
    """A vote that counted is gone; `vote_count` as it stands without it."""

    bug_id: UUID
    actor_id: UUID
    vote_count: int


@dataclass(frozen=True, kw_only=True)
class VotesSuspended:
    """The votes of a banned user count no more, on all of these bugs at once."""

    user_id: UUID
    bug_ids: tuple[UUID, ...]
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class VotesReinstated:
    """The votes of a user whose ban has ended count again, on all of these bugs at once."""

    user_id: UUID
    bug_ids: tuple[UUID, ...]
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class VotesCounted:
    """The votes of a bug have moved since they were told of; `vote_count` as it stands now. By the clock."""

    bug_id: UUID
    company_id: UUID | None
    vote_count: int
    actor_id: None = None


# --- comments ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CommentAdded:
    """Somebody commented, for themself; a company's answer is `ResponseAdded`."""

    comment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class ResponseAdded:
    """An official response, in the name of `answering_company_id`; None for a system admin."""

    comment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    answering_company_id: UUID | None
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class CommentEdited:
    """The author corrected a comment or an official response."""

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
    """A moderator took the comment from the board."""

    comment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    removed_at: datetime
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class CommentRestored:
    """A moderator brought the comment back."""

    comment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    actor_id: UUID


# --- pictures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AttachmentAdded:
    """A picture is shown with the bug."""

    attachment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    filename: str
    mime_type: str
    size_bytes: int
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class AttachmentRemoved:
    """The picture is gone."""

    attachment_id: UUID
    bug_id: UUID
    company_id: UUID | None
    actor_id: UUID


# --- for the audit log ------------------------------------------------------------------------------------------------


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


CHANGES_NOTHING_PUBLIC: tuple[type, ...] = (VotesCounted, ActedAsAdmin)
"""Facts that no cached response shows."""

WRITES_NO_EVENT: tuple[type, ...] = (VoteCast, VoteWithdrawn, VotesSuspended, VotesReinstated, ActedAsAdmin)
"""Facts that the event log does not tell of: a job writes how many votes a bug has, the audit log has the rest."""
