"""What searches and counts of tickets read; written only by triggers (docs/adr/0039-tickets-in-lists.md)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base, Moment
from bugrelay.infra.db.types import Xid8
from bugrelay.infra.kept_totals import kept_totals_table


class TicketSearch(Base):
    """A ticket that is not removed: its search document, and the columns that lists filter and sort by."""

    __tablename__ = "ticket_search"
    __table_args__ = (
        ForeignKeyConstraint(
            ["company_id", "ticket_id"], ["tickets.company_id", "tickets.id"], ondelete="CASCADE"
        ),
        Index("ix_ticket_search_document", "document", postgresql_using="gin"),
    )

    ticket_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    document: Mapped[Any] = mapped_column(TSVECTOR)
    status: Mapped[str]
    category: Mapped[str]
    priority: Mapped[str]
    created_at: Mapped[Moment]


# Each change of a document, for an hour: totals are updated from them (infra/incremental_counts.py).
ticket_search_changes = Table(
    "ticket_search_changes",
    Base.metadata,
    Column("id", BigInteger, Identity(always=True)),
    Column("transaction_id", Xid8, server_default=text("pg_current_xact_id()"), nullable=False),
    Column("at", DateTime(timezone=True), server_default=text("now()"), nullable=False),
    Column("sign", SmallInteger, nullable=False),
    Column("company_id", Uuid, nullable=False),
    Column("document", TSVECTOR, nullable=False),
    Column("status", String, nullable=False),
    Column("category", String, nullable=False),
    Column("priority", String, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("id", name="pk_ticket_search_changes"),
    Index("ix_ticket_search_changes_transaction_id", "transaction_id"),
    Index("ix_ticket_search_changes_at", "at"),
)
ticket_search_era = Table("ticket_search_era", Base.metadata, Column("era", Uuid, nullable=False))


def _counted_by() -> tuple[Column[Any], ...]:
    return (
        Column("company_id", Uuid, nullable=False),
        Column("project_id", Uuid, nullable=False),
        Column("status", String, nullable=False),
        Column("category", String, nullable=False),
        Column("priority", String, nullable=False),
        Column("department", String, nullable=False),
    )


# The number of tickets for each combination of these columns, and its changes since a job counted; both together are
# exact. A ticket without a department has the empty one.
ticket_counts = Table(
    "ticket_counts",
    Base.metadata,
    *_counted_by(),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint(
        "company_id", "project_id", "status", "category", "priority", "department", name="pk_ticket_counts"
    ),
)
ticket_count_changes = Table(
    "ticket_count_changes",
    Base.metadata,
    *_counted_by(),
    Column("count", SmallInteger, nullable=False),
    Index("ix_ticket_count_changes_company_id", "company_id"),
)

# Totals that a job counts for all processes, like `kept_totals` for the board.
ticket_kept_totals = kept_totals_table("ticket_kept_totals", primary_key="pk_ticket_kept_totals")
