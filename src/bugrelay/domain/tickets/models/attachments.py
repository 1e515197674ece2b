"""Files of tickets."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.domain.tickets.models.tickets import of_ticket
from bugrelay.infra.db.models import Base, CreatedAt, Id


class TicketAttachment(Base):
    """A file of a ticket. Until its upload is completed it has no `storage_key`, and only its sender sees it.

    `file_size` and `mime_type` are announced by the sender; for a picture those of the cleaned one replace them.
    For all other files the type is only what the sender says, and files are never served with it.
    """

    __tablename__ = "ticket_attachments"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        of_ticket(),
        CheckConstraint("file_size > 0", name="file_has_bytes"),
        Index("ix_ticket_attachments_ticket_id", "company_id", "ticket_id", "created_at", "id"),
        Index("uq_ticket_attachments_storage_key", "storage_key", unique=True),
        Index(
            "ix_ticket_attachments_unfinished",
            "user_id",
            "created_at",
            postgresql_where=text("storage_key IS NULL"),
        ),
    )

    id: Mapped[Id]
    company_id: Mapped[UUID]
    ticket_id: Mapped[UUID]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    filename: Mapped[str]
    mime_type: Mapped[str]
    file_size: Mapped[int] = mapped_column(BigInteger)
    storage_key: Mapped[str | None]
    created_at: Mapped[CreatedAt]
