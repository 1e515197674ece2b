"""Responses about flags, acts of moderation and the audit log."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from bugrelay.domain.moderation.schemas import AuditEntry, ModeratedBug, Stats
from bugrelay.http.responses import Message
from bugrelay.infra.pagination import Pagination


class FlagResponse(Message):
    """A flag.

    Attributes:
        flag_id: The flag's id.
        reason: The reason that was given.
    """

    flag_id: UUID
    reason: str


class ModeratedBugList(Struct):
    """A page of bugs, as moderators see them."""

    bugs: list[ModeratedBug]
    pagination: Pagination


class BugAct(Message):
    """An act of moderation on a bug.

    Attributes:
        bug_id: The bug.
        reason: The reason that was given.
    """

    bug_id: UUID
    reason: str


class BugRestoredAct(Message):
    """A bug that was restored.

    Attributes:
        bug_id: The bug.
    """

    bug_id: UUID


class MergeAct(Message):
    """A merge.

    Attributes:
        source_bug_id: The bug that was merged.
        target_bug_id: The bug that it was merged into.
        reason: The reason that was given.
    """

    source_bug_id: UUID
    target_bug_id: UUID
    reason: str


class UnmergeAct(MergeAct):
    """A merge that was undone.

    Attributes:
        bug_id: The bug that is not merged any more.
    """

    bug_id: UUID


class CommentAct(Message):
    """An act of moderation on a comment.

    Attributes:
        comment_id: The comment.
        reason: The reason that was given.
    """

    comment_id: UUID
    reason: str


class UserAct(Message):
    """An act of moderation on a user.

    Attributes:
        user_id: The user.
        reason: The reason that was given.
    """

    user_id: UUID
    reason: str


class BanAct(UserAct):
    """A ban.

    Attributes:
        until: When it ends; null if it lasts until it is lifted.
    """

    until: datetime | None


class CompanyAct(Message):
    """An act of moderation on a company.

    Attributes:
        company_id: The company.
        reason: The reason that was given.
    """

    company_id: UUID
    reason: str


class ApplicationAct(Message):
    """An application that was reassigned.

    Attributes:
        application_id: The application.
        company_id: Its company now; null for none.
    """

    application_id: UUID
    company_id: UUID | None


class AuditList(Struct):
    """A page of the audit log."""

    logs: list[AuditEntry]
    pagination: Pagination


class ModerationDashboard(Struct):
    """Statistics of the board, and the latest acts of moderation.

    Attributes:
        recent_activity: The latest fifty entries of the audit log.
    """

    stats: Stats
    recent_activity: list[AuditEntry]
