"""Links between tickets and public bugs."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.domain.tickets.models import of_ticket
from bugrelay.infra.db.models import Base, CreatedAt


class TicketLink(Base):
    """A link between a ticket and a public bug; visible to the ticket's company only.

    `bug_id` is the bug at the time of linking. Merges are followed when the link is read, so that undoing a merge needs
    no change here. Tickets of any company may be linked to a bug.
    """

    __tablename__ = "ticket_links"
    __table_args__ = (
        of_ticket(),
        CheckConstraint("kind IN ('published', 'linked', 'tracked')", name="kind_is_known"),
        Index("ix_ticket_links_bug_id", "bug_id"),
    )

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    ticket_id: Mapped[UUID] = mapped_column(primary_key=True)
    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str]
    carry_status: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[CreatedAt]
