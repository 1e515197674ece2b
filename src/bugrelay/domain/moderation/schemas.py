"""What is read of moderation, and what its use cases take."""

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
    """Whether a user can be banned, and is."""

    is_admin: bool
    banned_at: datetime | None
    banned_until: datetime | None

    @property
    def ban(self) -> dict[str, Any]:
        return {"banned_at": self.banned_at, "banned_until": self.banned_until}


class RemovalState(Row):
    """Whether a comment is removed, and by whom: `moderated_at` is null for what its author withdrew."""

    bug_id: UUID
    removed_at: datetime | None
    moderated_at: datetime | None


class ModeratedState(Row):
    """What an act of moderation looks at in a bug."""

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
        reason: What is wrong with it.
        note: What there is to add.
    """

    reason: FlagReason
    note: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


class Reason(Struct):
    """Why an admin does it.

    Attributes:
        reason: Why; it stands in the audit log.
    """

    reason: ReasonText


class Merge(Struct, kw_only=True):
    """`POST /admin/bugs/merge`.

    Attributes:
        source_bug_id: The bug to merge away.
        target_bug_id: The bug that it is merged into.
        reason: Why; it stands in the audit log.
    """

    source_bug_id: UUID
    target_bug_id: UUID
    reason: ReasonText


class Ban(Struct, kw_only=True):
    """`POST /admin/users/{id}/ban`.

    Attributes:
        reason: Why; it stands in the audit log.
        until: When it ends, in the future; without, it lasts until it is lifted.
    """

    reason: ReasonText
    until: Annotated[datetime, Meta(tz=True), Check(utc_time), Check(_in_future)] | None = None


class ChangeApplication(Struct, kw_only=True):
    """`PATCH /admin/applications/{id}`.

    Attributes:
        company_id: The company to put it under; null for none.
        reason: Why; it stands in the audit log.
    """

    company_id: UUID | None
    reason: ReasonText | None = None


class ModerationQuery(PageQuery, kw_only=True):
    """`GET /admin/bugs`.

    Attributes:
        status: Bugs with this status.
        flagged: Only those in the queue, or only the others.
        removed: Only the removed, or only the others.
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
        resource: Acts upon this kind of thing.
        resource_id: Acts upon this one.
        user_id: Acts of this admin.
        from_: Acts since this time, itself included.
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
    """A report.

    Attributes:
        id: The report's id.
        comment_id: The comment that it is about; null where it is about the bug itself.
        reason: What is wrong; an admin's is in their own words.
        note: What the sender added.
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
        flag_count: How many reports wait.
        flags: The latest fifty reports.
        removed_at: When it was removed, if it is.
        removed_reason: Why it was removed.
        merged_into_id: The bug that it was merged into, if it was.
        contact_email: Where the reporter may be asked.
    """

    flag_count: int
    flags: list[FlagOut]
    removed_at: datetime | None
    removed_reason: str | None
    merged_into_id: UUID | None
    contact_email: str | None


class Stats(Struct):
    """Figures of the board.

    Attributes:
        total_bugs: Bugs that the public sees.
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
    """Who acted, as they are called today.

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
        action: What was done.
        resource: The kind of thing that it was done to.
        resource_id: The thing.
        details: The reason given.
        before: What it was before, of what was changed.
        after: What it was afterwards.
        user: Who acted, as they are called today; null for the command line and for erased accounts.
        ip_address: The network address that it was asked from.
        user_agent: The `User-Agent` that asked.
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
