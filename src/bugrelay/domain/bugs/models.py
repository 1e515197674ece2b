"""Tables of bugs and what belongs to them.

A bug is split over three tables by how often its parts change. `bugs` is narrow: a vote rewrites one small row and
no search index. `bug_texts` is read by key. `bug_search` has the search index and the columns it filters by; triggers
(migrations/) keep it consistent, whoever writes.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base, Counter, CreatedAt, Id, Moment
from bugrelay.infra.db.types import Xid8
from bugrelay.infra.kept_totals import kept_totals_table

STATUSES = ("open", "reviewing", "fixed", "wont_fix")
INITIAL_STATUS: Final = "open"
RESOLVED_STATUSES = ("fixed", "wont_fix")
PRIORITIES = ("low", "medium", "high", "critical")

LISTED = text("removed_at IS NULL AND merged_into_id IS NULL")  # `visibility.LISTED`, for indexes
MOVED = text("origin_bug_id IS NOT NULL")


class Bug(Base):
    """The columns that lists show and sort by."""

    __tablename__ = "bugs"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'reviewing', 'fixed', 'wont_fix')", name="status_is_known"),
        CheckConstraint("priority IN ('low', 'medium', 'high', 'critical')", name="priority_is_known"),
        CheckConstraint(
            "vote_count >= 0 AND recent_vote_count >= 0 AND comment_count >= 0", name="counters_are_counts"
        ),
        Index("ix_bugs_recent", "created_at", "id", postgresql_where=LISTED),
        Index("ix_bugs_popular", "vote_count", "created_at", "id", postgresql_where=LISTED),
        Index(
            "ix_bugs_trending",
            "recent_vote_count",
            "vote_count",
            "created_at",
            "id",
            postgresql_where=LISTED,
        ),
        Index("ix_bugs_status_recent", "status", "created_at", "id", postgresql_where=LISTED),
        Index("ix_bugs_priority_recent", "priority", "created_at", "id", postgresql_where=LISTED),
        Index("ix_bugs_application_recent", "application_id", "created_at", "id"),
        Index("ix_bugs_company_recent", "assigned_company_id", "created_at", "id"),
        Index("ix_bugs_reporter_recent", "reporter_id", "created_at", "id"),
        Index("ix_bugs_tags", "tags", postgresql_using="gin"),
        Index(
            "ix_bugs_merged_into_id", "merged_into_id", postgresql_where=text("merged_into_id IS NOT NULL")
        ),
        Index(
            "uq_bugs_external_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    title: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="open")
    priority: Mapped[str] = mapped_column(server_default="medium")
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    application_id: Mapped[UUID] = mapped_column(ForeignKey("applications.id"))
    assigned_company_id: Mapped[UUID | None] = mapped_column(ForeignKey("companies.id"))
    reporter_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    vote_count: Mapped[Counter]
    recent_vote_count: Mapped[Counter]
    comment_count: Mapped[Counter]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    resolved_at: Mapped[Moment | None]
    removed_at: Mapped[Moment | None]
    removed_reason: Mapped[str | None]
    merged_into_id: Mapped[UUID | None] = mapped_column(ForeignKey("bugs.id"))
    merged_at: Mapped[Moment | None]
    external_id: Mapped[str | None]


class BugText(Base):
    """The long text, its rendering, and the technical fields that only the detail shows.

    `receipt_hash` is the hash of the anonymous reporter's secret (service/receipts.py); null without one.
    """

    __tablename__ = "bug_texts"
    __table_args__ = (
        Index(
            "uq_bug_texts_receipt_hash",
            "receipt_hash",
            unique=True,
            postgresql_where=text("receipt_hash IS NOT NULL"),
        ),
    )

    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"), primary_key=True)
    description: Mapped[str]
    description_html: Mapped[str]
    operating_system: Mapped[str | None]
    device_type: Mapped[str | None]
    app_version: Mapped[str | None]
    browser_version: Mapped[str | None]
    contact_email: Mapped[str | None]
    receipt_hash: Mapped[bytes | None] = mapped_column(LargeBinary)


_GATHERED_BY = ("document", "tags", "status", "priority", "created_month")
_UTC = "created_at AT TIME ZONE 'UTC'"
_MONTH = f"(extract(year FROM {_UTC}) * 12 + extract(month FROM {_UTC}))::integer"


class BugSearch(Base):
    """The search document of a listed bug, and copies of the columns that lists filter by; only triggers write it."""

    __tablename__ = "bug_search"
    __table_args__ = (
        Index("ix_bug_search_document", *_GATHERED_BY, postgresql_using="gin"),
        Index("ix_bug_search_recent", "created_at", "bug_id"),
        Index("ix_bug_search_application", "application_id", "created_at", "bug_id"),
        Index("ix_bug_search_company", "assigned_company_id", "created_at", "bug_id"),
    )

    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"), primary_key=True)
    document: Mapped[Any] = mapped_column(TSVECTOR)
    status: Mapped[str]
    priority: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    application_id: Mapped[UUID]
    assigned_company_id: Mapped[UUID | None]
    reporter_id: Mapped[UUID | None]
    created_at: Mapped[Moment]
    created_month: Mapped[int | None] = mapped_column(Computed(_MONTH, persisted=True))


# The log of changes that triggers on bug_search write for incremental totals (docs/adr/0016), and the era of the table.
# Nothing refers to a single row of these, so they are tables without classes.
bug_search_changes = Table(
    "bug_search_changes",
    Base.metadata,
    Column("id", BigInteger, Identity(always=True)),
    Column("transaction_id", Xid8, server_default=text("pg_current_xact_id()"), nullable=False),
    Column("at", DateTime(timezone=True), server_default=text("now()"), nullable=False),
    Column("sign", SmallInteger, nullable=False),
    Column("document", TSVECTOR),
    Column("status", String),
    Column("priority", String),
    Column("tags", ARRAY(Text)),
    Column("application_id", Uuid),
    Column("assigned_company_id", Uuid),
    Column("reporter_id", Uuid),
    Column("created_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("id", name="bug_search_changes_pkey"),
    Index("ix_bug_search_changes_transaction_id", "transaction_id"),
    Index("ix_bug_search_changes_at", "at"),
)
bug_search_era = Table("bug_search_era", Base.metadata, Column("era", Uuid, nullable=False))

# Totals that a job counts for all processes.
kept_totals = kept_totals_table("kept_totals", primary_key="kept_totals_pkey")
tag_counts = Table(
    "tag_counts",
    Base.metadata,
    Column("name", Text),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("name", name="tag_counts_pkey"),
)
tag_changes = Table(
    "tag_changes",
    Base.metadata,
    Column("name", Text, nullable=False),
    Column("sign", SmallInteger, nullable=False),
)


# The bugs whose vote_count has changed since its last event; a trigger on bugs writes it.
vote_changes = Table("vote_changes", Base.metadata, Column("bug_id", Uuid, nullable=False))


class Vote(Base):
    """A user's vote for a bug. `is_recent`: whether `recent_vote_count` still includes it.

    `counted` is false while the voter is banned; `merged_from_id` is the merged bug from which the row was copied.
    """

    __tablename__ = "bug_votes"
    __table_args__ = (
        Index("ix_bug_votes_user_id", "user_id", "created_at"),
        Index("ix_bug_votes_recent", "created_at", postgresql_where=text("is_recent")),
    )

    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    created_at: Mapped[CreatedAt]
    is_recent: Mapped[bool] = mapped_column(server_default="true")
    counted: Mapped[bool] = mapped_column(server_default="true")
    merged_from_id: Mapped[UUID | None] = mapped_column(ForeignKey("bugs.id"))


class Comment(Base):
    """A comment, a company response, or a note of BugRelay itself (`user_id` null, as for erased accounts).

    `bug_id` is the bug it is shown with, `origin_bug_id` the one it was written for if a merge has moved it.
    `moderated_at` is set if an admin removed it, and null if its author withdrew it.
    """

    __tablename__ = "comments"
    __table_args__ = (
        Index("ix_comments_bug_id", "bug_id", "created_at", "id"),
        Index("ix_comments_user_id", "user_id", "created_at"),
        Index("ix_comments_origin_bug_id", "origin_bug_id", postgresql_where=MOVED),
        Index(
            "ix_comments_commenters",
            "bug_id",
            "user_id",
            postgresql_where=text("removed_at IS NULL AND user_id IS NOT NULL"),
        ),
        Index(
            "ix_comments_company_responses",
            "bug_id",
            "created_at",
            postgresql_where=text("is_company_response AND removed_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"))
    origin_bug_id: Mapped[UUID | None] = mapped_column(ForeignKey("bugs.id"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    company_id: Mapped[UUID | None] = mapped_column(ForeignKey("companies.id"))
    content: Mapped[str]
    content_html: Mapped[str]
    is_company_response: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    edited_at: Mapped[Moment | None]
    removed_at: Mapped[Moment | None]
    moderated_at: Mapped[Moment | None]


class Attachment(Base):
    """A picture: the uploader's file name, and the unguessable key of the file in storage."""

    __tablename__ = "attachments"
    __table_args__ = (
        Index("ix_attachments_bug_id", "bug_id", "uploaded_at", "id"),
        Index("uq_attachments_storage_key", "storage_key", unique=True),
        Index("ix_attachments_origin_bug_id", "origin_bug_id", postgresql_where=MOVED),
    )

    id: Mapped[Id]
    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"))
    origin_bug_id: Mapped[UUID | None] = mapped_column(ForeignKey("bugs.id"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    filename: Mapped[str]
    storage_key: Mapped[str]
    file_size: Mapped[int]
    mime_type: Mapped[str]
    uploaded_at: Mapped[CreatedAt]


class StatusChange(Base):
    """One change of status."""

    __tablename__ = "status_changes"
    __table_args__ = (Index("ix_status_changes_bug_id", "bug_id", "at", "id"),)

    id: Mapped[Id]
    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"))
    from_status: Mapped[str]
    to_status: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    company_id: Mapped[UUID | None] = mapped_column(ForeignKey("companies.id"))
    at: Mapped[CreatedAt]


class BugEdit(Base):
    """One edit by the reporter: the former values of the changed public fields, as a JSON object."""

    __tablename__ = "bug_edits"
    __table_args__ = (Index("ix_bug_edits_bug_id", "bug_id", "at", "id"),)

    id: Mapped[Id]
    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"))
    before: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    at: Mapped[CreatedAt]


class BugMerge(Base):
    """A merge or an unmerge: one row, shown in the history of both bugs. Only admins see the reason.

    `note_id` is BugRelay's own comment on the target that names the source.
    """

    __tablename__ = "bug_merges"
    __table_args__ = (
        CheckConstraint("kind IN ('merge', 'unmerge')", name="kind_is_known"),
        CheckConstraint("source_bug_id <> target_bug_id", name="bugs_differ"),
        Index("ix_bug_merges_source_bug_id", "source_bug_id", "at"),
        Index("ix_bug_merges_target_bug_id", "target_bug_id", "at"),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    source_bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"))
    target_bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"))
    note_id: Mapped[UUID | None] = mapped_column(ForeignKey("comments.id", ondelete="SET NULL"))
    reason: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    at: Mapped[CreatedAt]


class CaptchaToken(Base):
    """A used captcha token, as SHA-256: each is accepted once."""

    __tablename__ = "captcha_tokens"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[CreatedAt]
