"""States, requests and results of moderation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct, field

from bugrelay.domain.bugs.schemas import BugItem, Status, UserRef
from bugrelay.domain.moderation.models import Action, Resource
from bugrelay.infra.db.query import Row
from bugrelay.infra.pagination import PageLimit, PageQuery
from bugrelay.infra.validation import Check, OneLine, utc_time

FlagReason = Literal["spam", "abuse", "private_data", "duplicate", "other"]
ReasonText = Annotated[str, Meta(min_length=1, max_length=500)]
Time = Annotated[datetime, Meta(tz=True)]


class BanState(Row):
    """Whether a user is an admin, and their ban."""

    is_admin: bool
    banned_at: datetime | None
    banned_until: datetime | None

    @property
    def ban(self) -> dict[str, Any]:
        return {"banned_at": self.banned_at, "banned_until": self.banned_until}


class RemovalState(Row):
    """Whether a comment is removed; `moderated_at` is set if an admin removed it, and null if its author withdrew
    it."""

    bug_id: UUID
    removed_at: datetime | None
    moderated_at: datetime | None


class ModeratedState(Row):
    """The columns of a bug that acts of moderation need."""

    id: UUID
    title: str
    removed_at: datetime | None
    removed_reason: str | None
    merged_into_id: UUID | None
    merged_at: datetime | None
    assigned_company_id: UUID | None

    @property
    def is_removed(self) -> bool:
        return self.removed_at is not None


def _in_future(value: datetime) -> datetime:
    if value <= datetime.now(UTC):
        raise ValueError("must be in the future")
    return value


class ReportContent(Struct, kw_only=True):
    """`POST /bugs/{id}/flag`, `POST /comments/{id}/flag`.

    Attributes:
        reason: The kind of problem.
        note: Further information.
    """

    reason: FlagReason
    note: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


class Reason(Struct):
    """The reason for an act.

    Attributes:
        reason: The reason, for the audit log.
    """

    reason: ReasonText


class Merge(Struct, kw_only=True):
    """`POST /admin/bugs/merge`.

    Attributes:
        source_bug_id: The bug to merge.
        target_bug_id: The bug to merge it into.
        reason: The reason, for the audit log.
    """

    source_bug_id: UUID
    target_bug_id: UUID
    reason: ReasonText


class Ban(Struct, kw_only=True):
    """`POST /admin/users/{id}/ban`.

    Attributes:
        reason: The reason, for the audit log.
        until: When the ban ends, in the future; without it, the ban lasts until it is lifted.
    """

    reason: ReasonText
    until: Annotated[datetime, Meta(tz=True), Check(utc_time), Check(_in_future)] | None = None


class ChangeApplication(Struct, kw_only=True):
    """`PATCH /admin/applications/{id}`.

    Attributes:
        company_id: The company to assign it to; null for none.
        reason: The reason, for the audit log.
    """

    company_id: UUID | None
    reason: ReasonText | None = None


class ModerationQuery(PageQuery, kw_only=True):
    """`GET /admin/bugs`.

    Attributes:
        status: Bugs with this status.
        flagged: True for bugs in the queue only, false for the others only.
        removed: True for removed bugs only, false for the others only.
        search: Words of the title or the description.
    """

    status: Status | None = None
    flagged: bool | None = None
    removed: bool | None = None
    search: Annotated[str, OneLine, Meta(max_length=500)] | None = None


class AuditQuery(PageQuery, kw_only=True):
    """`GET /admin/audit-logs`.

    Attributes:
        action: Acts of this kind.
        resource: Acts on this kind of resource.
        resource_id: Acts on this resource.
        user_id: Acts of this user.
        from_: Acts at this time or later.
        to: Acts before this time.
    """

    limit: PageLimit = 50
    action: Action | None = None
    resource: Resource | None = None
    resource_id: UUID | None = None
    user_id: UUID | None = None
    from_: Time | None = field(default=None, name="from")
    to: Time | None = None


class FlagOut(Struct, kw_only=True):
    """A flag.

    Attributes:
        id: The flag's id.
        comment_id: The flagged comment; null if the bug itself is flagged.
        reason: The kind of problem, or an admin's own words.
        note: The user's note.
        created_at: When it was sent.
    """

    id: UUID
    comment_id: UUID | None
    reason: str
    note: str | None
    user: UserRef
    created_at: datetime


class ModeratedBug(BugItem, kw_only=True):
    """A bug as moderators see it.

    Attributes:
        flag_count: The number of its flags.
        flags: The latest fifty flags.
        removed_at: When it was removed; null if it is not.
        removed_reason: Why it was removed.
        merged_into_id: The bug that it was merged into; null if it was not.
        contact_email: The contact address of the reporter.
    """

    flag_count: int
    flags: list[FlagOut]
    removed_at: datetime | None
    removed_reason: str | None
    merged_into_id: UUID | None
    contact_email: str | None


class Stats(Struct):
    """Statistics of the board.

    Attributes:
        total_bugs: Public bugs.
        open_bugs: Those of them that are open.
        flagged_bugs: The length of the queue.
        removed_bugs: Bugs that were removed.
        total_users: Accounts.
        banned_users: Accounts that are banned now.
        total_companies: Companies.
        verified_companies: Companies that are verified.
        bugs_24h: Visible bugs that were reported in the last 24 hours.
        votes_24h: Votes of the last 24 hours.
        comments_24h: Comments of the last 24 hours.
    """

    total_bugs: int
    open_bugs: int
    flagged_bugs: int
    removed_bugs: int
    total_users: int
    banned_users: int
    total_companies: int
    verified_companies: int
    bugs_24h: int
    votes_24h: int
    comments_24h: int


class AuditUser(Struct):
    """The user who acted, by their current name.

    Attributes:
        id: The user's id.
        username: The public name.
        email: The address.
    """

    id: UUID
    username: str
    email: str | None


class AuditEntry(Struct, kw_only=True):
    """One act.

    Attributes:
        id: The entry's id.
        action: The kind of act.
        resource: The kind of resource.
        resource_id: The id of the resource.
        details: The reason that was given.
        before: The former values of what was changed.
        after: The new values.
        user: The user who acted, by their current name; null for commands and jobs, and for erased accounts.
        ip_address: The network address of the request.
        user_agent: The `User-Agent` of the request.
        created_at: When it was done.
    """

    id: UUID
    action: str
    resource: str
    resource_id: UUID
    details: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    user: AuditUser | None
    ip_address: str | None
    user_agent: str | None
    created_at: datetime
