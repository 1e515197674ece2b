"""The log: streams, their events, and the cursors of consumers.

Rows of `events` are never changed and never deleted; triggers refuse both. They name bugs, users and companies without
foreign keys: the log outlives the rows that it names, and writing it locks only its stream.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base, CreatedAt, Moment


class EventStream(Base):
    """A company, or a shard of the bugs without a company; `last_seq` is the number of its newest event."""

    __tablename__ = "event_streams"

    stream: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    last_seq: Mapped[int] = mapped_column(BigInteger)


class EventRow(Base):
    """One event. `seq` counts from 1 in its stream, without gaps, in the order of the COMMITs."""

    __tablename__ = "events"
    __table_args__ = (
        CheckConstraint("visibility IN ('public', 'tenant', 'internal')", name="visibility_is_known"),
        # Separate indexes: a bug may have a hundred times as many events of votes as others.
        Index(
            "ix_events_bug_id_told",
            "bug_id",
            "at",
            postgresql_where=text("bug_id IS NOT NULL AND type <> 'bug.voted'"),
        ),
        Index("ix_events_bug_id_voted", "bug_id", "at", postgresql_where=text("type = 'bug.voted'")),
        Index(
            "ix_events_ticket_id",
            "stream",
            "ticket_id",
            "seq",
            postgresql_where=text("ticket_id IS NOT NULL"),
        ),
        Index(
            "ix_events_project_changed",
            "stream",
            "project_id",
            postgresql_where=text("type = 'project.changed'"),
        ),
        Index("ix_events_at", "at"),
    )

    stream: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    type: Mapped[str] = mapped_column(Text)
    at: Mapped[Moment]
    actor_id: Mapped[UUID | None]
    bug_id: Mapped[UUID | None]
    ticket_id: Mapped[UUID | None]
    project_id: Mapped[UUID | None]
    version: Mapped[int | None]
    visibility: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    cause: Mapped[dict[str, Any]] = mapped_column(JSONB)


class EventConsumer(Base):
    """A consumer of the log, and since when: it follows streams that existed then from their end."""

    __tablename__ = "event_consumers"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    started_at: Mapped[CreatedAt]


class EventCursor(Base):
    """The last `seq` of a stream that a consumer has read. Without a row it has not read the stream at all.

    `attempts` counts failures of the event after `seq`, which is retried at `retry_at`. `error` is for operators.
    """

    __tablename__ = "event_cursors"

    consumer: Mapped[str] = mapped_column(Text, primary_key=True)
    stream: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    attempts: Mapped[int] = mapped_column(server_default="0")
    retry_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error: Mapped[str | None] = mapped_column(Text)


class MissingEvent(Base):
    """A change without an event, in order of time, until a job has written it into the log."""

    __tablename__ = "missing_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[Moment]
    type: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[UUID | None]
    bug_id: Mapped[UUID]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
