"""Comments of tickets."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.domain.tickets.models.tickets import of_ticket
from bugrelay.infra.db.models import Base, CreatedAt, Id, Moment


class TicketComment(Base):
    """A comment. It has no user if an automation wrote it; `author_name` names an author without an account.

    Internal comments are visible to the company's members and admins, never to its reporters.
    """

    __tablename__ = "ticket_comments"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        of_ticket(),
        Index("ix_ticket_comments_author_id", "company_id", "author_id", "created_at"),
        Index("ix_ticket_comments_ticket_id", "company_id", "ticket_id", "created_at", "id"),
    )

    id: Mapped[Id]
    company_id: Mapped[UUID]
    ticket_id: Mapped[UUID]
    author_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    author_name: Mapped[str | None]
    content: Mapped[str]
    content_html: Mapped[str]
    is_internal: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    removed_at: Mapped[Moment | None]
