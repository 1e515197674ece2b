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
    """`POST /bugs/{id}/flag`, `POST /comments/{id}/flag`."""

    reason: FlagReason
    note: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


class Reason(Struct):
    """Why an admin does it."""

    reason: ReasonText


class Merge(Struct, kw_only=True):
    """`POST /admin/bugs/merge`."""

    source_bug_id: UUID
    target_bug_id: UUID
    reason: ReasonText


class Ban(Struct, kw_only=True):
    """`POST /admin/users/{id}/ban`; without `until` it lasts until it is lifted."""

    reason: ReasonText
    until: Annotated[datetime, Meta(tz=True), Check(utc_time), Check(_in_future)] | None = None


class ChangeApplication(Struct, kw_only=True):
    """`PATCH /admin/applications/{id}`; null puts it under no company."""

    company_id: UUID | None
    reason: ReasonText | None = None


class ModerationQuery(PageQuery, kw_only=True):
    """`GET /admin/bugs`."""

    status: Status | None = None
    flagged: bool | None = None
    removed: bool | None = None
    search: Annotated[str, OneLine, Meta(max_length=500)] | None = None


class AuditQuery(PageQuery, kw_only=True):
    """`GET /admin/audit-logs`; `from` counts, `to` does not."""

    limit: PageLimit = 50
    action: Action | None = None
    resource: Resource | None = None
    resource_id: UUID | None = None
    user_id: UUID | None = None
    from_: Time | None = field(default=None, name="from")
    to: Time | None = None


class FlagOut(Struct, kw_only=True):
    """A report. `comment_id` where it is about a comment of the bug; an admin's reason is in their own words."""

    id: UUID
    comment_id: UUID | None
    reason: str
    note: str | None
    user: UserRef
    created_at: datetime


class ModeratedBug(BugItem, kw_only=True):
    """A bug as moderators see it; `flags` are the latest fifty."""

    flag_count: int
    flags: list[FlagOut]
    removed_at: datetime | None
    removed_reason: str | None
    merged_into_id: UUID | None
    contact_email: str | None


class Stats(Struct):
    """Bugs are those that the public sees, but for `removed_bugs`; `flagged_bugs` is the length of the queue."""

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
    """Who acted, as they are called today."""

    id: UUID
    username: str
    email: str | None


class AuditEntry(Struct, kw_only=True):
    """One act. `details` is the reason given, `before` and `after` what it changed."""

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
