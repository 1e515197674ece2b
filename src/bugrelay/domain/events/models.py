"""The log: streams, their events, and how far each consumer has read.

Rows of `events` are never changed and never deleted; triggers refuse both. They name bugs, people and companies without
foreign keys: the log outlives what it tells of, and writing it locks nothing but its stream.
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
    """A company, or a share of the bugs that have none; `last_seq` is the number of its newest event."""

    __tablename__ = "event_streams"

    stream: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    last_seq: Mapped[int] = mapped_column(BigInteger)


class EventRow(Base):
    """One event. `seq` counts from 1 in its stream, without gaps, in the order of the COMMITs."""

    __tablename__ = "events"
    __table_args__ = (
        CheckConstraint("visibility IN ('public', 'tenant', 'internal')", name="visibility_is_known"),
        # Apart from each other: a bug may have a hundred times as many events of its votes as others.
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
    """Somebody who follows the log, and since when: of the streams that were there already, from their end."""

    __tablename__ = "event_consumers"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    started_at: Mapped[CreatedAt]


class EventCursor(Base):
    """How far a consumer has read a stream. A stream without a row has not been read at all.

    `attempts` counts failures at the event after `seq`; it is tried again at `retry_at`. `error` is for operators.
    """

    __tablename__ = "event_cursors"

    consumer: Mapped[str] = mapped_column(Text, primary_key=True)
    stream: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    attempts: Mapped[int] = mapped_column(server_default="0")
    retry_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error: Mapped[str | None] = mapped_column(Text)


class MissingEvent(Base):
    """What has happened without an event, in order of time, until a job has written it into the log."""

    __tablename__ = "missing_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[Moment]
    type: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[UUID | None]
    bug_id: Mapped[UUID]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
