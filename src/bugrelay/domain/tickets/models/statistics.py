"""Statistics of projects at the end of each day; written by a job, from the event log."""

from __future__ import annotations

from datetime import date as Date  # noqa: N812 - a column is called date
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base, Moment


class DailyStats(Base):
    """A project at the end of a UTC day, or by now; `created_count` and `resolved_count` are those of that day.

    The statuses of all schemes are mapped to four stages: the first of a scheme is open, others of `todo` are triaged.
    """

    __tablename__ = "daily_stats"
    __table_args__ = (
        ForeignKeyConstraint(
            ["company_id", "project_id"], ["projects.company_id", "projects.id"], ondelete="CASCADE"
        ),
        Index("ix_daily_stats_date", "company_id", "date"),
    )

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    date: Mapped[Date] = mapped_column(primary_key=True)
    total_issues: Mapped[int]
    open_issues: Mapped[int]
    triaged_issues: Mapped[int]
    in_progress_issues: Mapped[int]
    done_issues: Mapped[int]
    low_count: Mapped[int]
    medium_count: Mapped[int]
    high_count: Mapped[int]
    critical_count: Mapped[int]
    created_count: Mapped[int]
    resolved_count: Mapped[int]


class DailyStatsDay(Base):
    """The event up to which a day of a company was counted, and when; the day may not have been over then."""

    __tablename__ = "daily_stats_days"

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"), primary_key=True)
    date: Mapped[Date] = mapped_column(primary_key=True)
    last_seq: Mapped[int] = mapped_column(BigInteger)
    counted_at: Mapped[Moment]
