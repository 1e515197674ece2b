"""Projects, and the numbers of their tickets."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base, Counter, CreatedAt, Id, Moment


class Project(Base):
    """A project: tickets of one scheme. `visibility` says whether the company's reporters see all of them."""

    __tablename__ = "projects"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        Index("uq_projects_company_id_key", "company_id", "key", unique=True),
        CheckConstraint("visibility IN ('team', 'company')", name="visibility_is_known"),
    )

    id: Mapped[Id]
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    key: Mapped[str]
    name: Mapped[str]
    description: Mapped[str | None]
    scheme: Mapped[str]
    visibility: Mapped[str] = mapped_column(server_default="team")
    version: Mapped[int] = mapped_column(server_default="1")
    archived_at: Mapped[Moment | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class ProjectKey(Base):
    """The current and former keys of a company's projects, which no other project gets."""

    __tablename__ = "project_keys"
    __table_args__ = (
        ForeignKeyConstraint(
            ["company_id", "project_id"], ["projects.company_id", "projects.id"], ondelete="CASCADE"
        ),
        Index("ix_project_keys_project_id", "company_id", "project_id"),
    )

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]


class TicketNumber(Base):
    """The last number that a project has assigned; `year` is 0 if its scheme does not count by year.

    A transaction that takes a number locks the row, late in the transaction, so that numbers have no gaps.
    """

    __tablename__ = "ticket_numbers"
    __table_args__ = (
        ForeignKeyConstraint(
            ["company_id", "project_id"], ["projects.company_id", "projects.id"], ondelete="CASCADE"
        ),
    )

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    year: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last_number: Mapped[Counter]
