"""Flags by which people report content, and the audit log of what admins did."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base, CreatedAt, Id

Action = Literal[
    "bug_flag",
    "bug_remove",
    "bug_restore",
    "bug_merge",
    "bug_unmerge",
    "comment_remove",
    "comment_restore",
    "user_ban",
    "user_unban",
    "company_verify",
    "company_unverify",
    "company_claim",
    "application_reassign",
    "admin_create",
    "bug_status_change",
    "bug_respond",
    "attachment_add",
    "attachment_remove",
    "webhook_add",
    "webhook_change",
    "webhook_rotate",
    "webhook_remove",
    "webhook_disable",
    "github_connect",
    "github_change",
    "github_disconnect",
    "github_switch_off",
    "workflow_add",
    "workflow_change",
    "workflow_remove",
    "workflow_disable",
]
Resource = Literal[
    "bug", "comment", "attachment", "user", "company", "application", "webhook", "github", "workflow"
]


class Flag(Base):
    """A user's flag of a bug or a comment, at most one of each; `reason` of an admin's flag is free text."""

    __tablename__ = "flags"
    __table_args__ = (
        CheckConstraint("num_nonnulls(bug_id, comment_id) = 1", name="names_one_thing"),
        CheckConstraint(
            "by_admin OR reason IN ('spam', 'abuse', 'private_data', 'duplicate', 'other')",
            name="reason_is_known",
        ),
        Index("uq_flags_bug_id_user_id", "bug_id", "user_id", unique=True),
        Index("uq_flags_comment_id_user_id", "comment_id", "user_id", unique=True),
        Index("ix_flags_user_id", "user_id"),
    )

    id: Mapped[Id]
    bug_id: Mapped[UUID | None] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"))
    comment_id: Mapped[UUID | None] = mapped_column(ForeignKey("comments.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    by_admin: Mapped[bool] = mapped_column(server_default="false")
    reason: Mapped[str]
    note: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class AuditLog(Base):
    """One act of moderation. A trigger refuses every UPDATE, DELETE and TRUNCATE, whoever asks.

    `details` is the reason that was given; `before` and `after` have the changed values. Rows contain ids and no names,
    so that erasing an account needs no change here. `user_id` is null for commands and jobs.
    """

    __tablename__ = "audit_logs"
    __table_args__ = (
        Index("ix_audit_logs_created_at", "created_at", "id"),
        Index("ix_audit_logs_resource_id", "resource_id", "created_at"),
        Index("ix_audit_logs_user_id", "user_id", "created_at"),
    )

    id: Mapped[Id]
    action: Mapped[str]
    resource: Mapped[str]
    resource_id: Mapped[UUID]
    details: Mapped[str | None]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    ip_address: Mapped[str | None]
    user_agent: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=text("clock_timestamp()")
    )
