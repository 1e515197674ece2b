"""Every SELECT of the event log and its cursors."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import DateTime, Float, Integer, any_, bindparam, case, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from bugrelay.domain.events.models import EventConsumer, EventCursor, EventRow, EventStream
from bugrelay.domain.events.schemas import Event
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork

_AFTER = Query(
    select(*(getattr(EventRow, name) for name in Event.__struct_fields__))
    .where(EventRow.stream == bindparam("stream"), EventRow.seq > bindparam("seq"))
    .order_by(EventRow.seq)
    .limit(bindparam("limit", type_=Integer)),
    Event,
)


async def events_after(reader: Reader, stream: UUID, seq: int, *, limit: int) -> Sequence[Event]:
    """The next events of a stream after `seq`, in order."""
    return await reader.rows(_AFTER, {"stream": stream, "seq": seq, "limit": limit})


class LaggingStream(Row):
    """A stream that a consumer has not read to its end; `is_unread` if it has no cursor there yet."""

    consumer: str
    stream: UUID
    is_unread: bool


_OF_BOTH = (EventCursor.consumer == EventConsumer.name) & (EventCursor.stream == EventStream.stream)
_LAGGING = Query(
    select(
        EventConsumer.name.label("consumer"), EventStream.stream, EventCursor.seq.is_(None).label("is_unread")
    )
    .select_from(EventConsumer)
    .join(EventStream, EventStream.last_seq > 0)
    .outerjoin(EventCursor, _OF_BOTH)
    .where(
        EventConsumer.name == any_(bindparam("consumers", type_=ARRAY(TEXT))),
        EventStream.last_seq > func.coalesce(EventCursor.seq, 0),
        or_(EventCursor.retry_at.is_(None), EventCursor.retry_at <= func.now()),
    )
    .limit(bindparam("limit", type_=Integer)),
    LaggingStream,
)


async def lagging_streams(reader: Reader, consumers: Sequence[str], *, limit: int) -> Sequence[LaggingStream]:
    """The streams that these consumers have to read, except those that wait for a retry."""
    return await reader.rows(_LAGGING, {"consumers": list(consumers), "limit": limit})


# An event that was recorded later waits since it was written. The oldest of them do not say when that was.
_recorded_later = EventRow.cause["recorded_later"].astext
_written_at = case(
    (_recorded_later.is_(None), EventRow.at),
    (_recorded_later != "true", _recorded_later.cast(DateTime(timezone=True))),
)
_LAG = Query(
    select(func.coalesce(func.max(func.extract("epoch", func.now() - _written_at)), 0).cast(Float))
    .select_from(EventConsumer)
    .join(EventStream, EventStream.last_seq > 0)
    .outerjoin(EventCursor, _OF_BOTH)
    .join(
        EventRow,
        (EventRow.stream == EventStream.stream) & (EventRow.seq == func.coalesce(EventCursor.seq, 0) + 1),
    )
    # Nearly all streams are read to their end; they are excluded before their events are looked up.
    .where(EventStream.last_seq > func.coalesce(EventCursor.seq, 0)),
    float,
)


async def lag_seconds(reader: Reader) -> float:
    """Seconds for which the oldest unread event has been waiting for a consumer; 0 if there is none."""
    return max(0.0, await reader.row(_LAG) or 0.0)


class Cursor(Row):
    """The last `seq` that was read, and the failures of the event after it."""

    seq: int
    attempts: int


_CURSOR = Query(
    select(EventCursor.seq, EventCursor.attempts)
    .where(
        EventCursor.consumer == bindparam("consumer"),
        EventCursor.stream == bindparam("stream"),
        or_(EventCursor.retry_at.is_(None), EventCursor.retry_at <= func.now()),
    )
    .with_for_update(skip_locked=True),
    Cursor,
)


async def lock_cursor(work: UnitOfWork, *, consumer: str, stream: UUID) -> Cursor | None:
    """None if another worker reads the stream for this consumer, or it waits for a retry."""
    return await work.row(_CURSOR, {"consumer": consumer, "stream": stream})
