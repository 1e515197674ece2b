"""Which tickets are tied to which public bugs."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.domain.tickets.models import of_ticket
from bugrelay.infra.db.models import Base, CreatedAt


class TicketLink(Base):
    """A ticket and a bug, which the public never learns of.

    The bug is the one that was meant then: what it was merged into since is followed when the link is read, so that
    undoing a merge undoes that as well. Public bugs have no company to be one of: any company's tickets may be tied to
    them.
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
