"""Tickets, their current and former keys, their assignees, and long former texts."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base, Counter, CreatedAt, Id, Moment

_SEVERITY = "CASE priority WHEN 'critical' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END"
SEVERITY = literal_column(_SEVERITY.replace("priority", "tickets.priority"), Integer)
"""The sort key of priorities, higher for more urgent ones; the same expression as in the index."""
LISTED = text("removed_at IS NULL")


class Ticket(Base):
    """A ticket. `status` and `kind` are terms of its project's scheme; `category` is common to all schemes.

    `comment_count` counts comments for everybody who sees the ticket; internal ones are counted separately.
    """

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        ForeignKeyConstraint(
            ["company_id", "project_id"], ["projects.company_id", "projects.id"], ondelete="CASCADE"
        ),
        CheckConstraint("category IN ('todo', 'doing', 'done')", name="category_is_known"),
        CheckConstraint("priority IN ('low', 'medium', 'high', 'critical')", name="priority_is_known"),
        CheckConstraint("(category = 'done') = (resolved_at IS NOT NULL)", name="done_is_resolved"),
        Index("ix_tickets_recent", "company_id", "created_at", "id", postgresql_where=LISTED),
        Index("ix_tickets_updated", "company_id", "updated_at", "id", postgresql_where=LISTED),
        Index(
            "ix_tickets_urgent",
            "company_id",
            text(f"({_SEVERITY})"),
            "created_at",
            "id",
            postgresql_where=LISTED,
        ),
        Index("ix_tickets_category", "company_id", "category", "created_at", "id", postgresql_where=LISTED),
        Index("ix_tickets_status", "company_id", "status", "created_at", "id", postgresql_where=LISTED),
        Index(
            "ix_tickets_resolved",
            "company_id",
            "resolved_at",
            postgresql_where=text("removed_at IS NULL AND resolved_at IS NOT NULL"),
        ),
        Index("ix_tickets_project", "company_id", "project_id", "created_at", "id", postgresql_where=LISTED),
        Index(
            "ix_tickets_reporter", "company_id", "reporter_id", "created_at", "id", postgresql_where=LISTED
        ),
    )

    id: Mapped[Id]
    company_id: Mapped[UUID]
    project_id: Mapped[UUID]
    number: Mapped[int]
    key: Mapped[str]
    kind: Mapped[str]
    title: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    description_html: Mapped[str] = mapped_column(server_default="")
    status: Mapped[str]
    category: Mapped[str]
    priority: Mapped[str]
    department: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    reporter_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    internal_notes: Mapped[str | None]
    resolution_notes: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default="1")
    comment_count: Mapped[Counter]
    internal_comment_count: Mapped[Counter]
    attachment_count: Mapped[Counter]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    resolved_at: Mapped[Moment | None]
    removed_at: Mapped[Moment | None]


def of_ticket() -> ForeignKeyConstraint:
    """A foreign key to a ticket of the same company."""
    return ForeignKeyConstraint(
        ["company_id", "ticket_id"], ["tickets.company_id", "tickets.id"], ondelete="CASCADE"
    )


class TicketKey(Base):
    """The current and former keys of a company's tickets; a former one leads to its ticket."""

    __tablename__ = "ticket_keys"
    __table_args__ = (of_ticket(), Index("ix_ticket_keys_ticket_id", "company_id", "ticket_id"))

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    ticket_id: Mapped[UUID]


class TicketAssignee(Base):
    """An assignee of a ticket, in the order in which they were named."""

    __tablename__ = "ticket_assignees"
    __table_args__ = (
        of_ticket(),
        Index("ix_ticket_assignees_user_id", "company_id", "user_id", "ticket_id"),
    )

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    ticket_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    position: Mapped[int]


class TicketEdit(Base):
    """The old and the new value of a field in the change that made this version, if it is too long for the log."""

    __tablename__ = "ticket_edits"
    __table_args__ = (of_ticket(),)

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    ticket_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    field: Mapped[str] = mapped_column(primary_key=True)
    old_value: Mapped[str | None]
    new_value: Mapped[str | None]
