"""SELECTs of live updates: events, rights of connections, and the watermark of the board."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, and_, bindparam, case, func, select, text, true

from bugrelay.domain.accounts.models import Session, User
from bugrelay.domain.accounts.repository import ACTIVE
from bugrelay.domain.accounts.visibility import EXISTING
from bugrelay.domain.companies.models import Company, Member
from bugrelay.domain.companies.visibility import EFFECTIVE
from bugrelay.domain.events.models import EventStream
from bugrelay.domain.live.cursors import BoardCursor
from bugrelay.domain.live.schemas import ConnectionRights, EventFilter, LoggedEvent
from bugrelay.infra.db.query import Query, Reader, Row

_COLUMNS = """
    e.stream, e.seq, e.type, e.at, e.actor_id, u.username, coalesce(u.display_name, u.username) AS name,
    e.bug_id, e.ticket_id, t.key AS ticket_key, e.project_id, e.version, e.visibility, e.data,
    e.cause ? 'recorded_later' AS is_recorded_later, b.removed_at IS NOT NULL AS is_bug_removed
"""
_JOINS = """
    LEFT JOIN users u ON u.id = e.actor_id
    LEFT JOIN tickets t ON t.company_id = e.stream AND t.id = e.ticket_id
    LEFT JOIN bugs b ON b.id = e.bug_id
"""


# --- one company ----------------------------------------------------------------------------------------------------


_NEXT = Query(
    text(f"""
SELECT {_COLUMNS}
FROM unnest(CAST(:streams AS uuid[]), CAST(:seqs AS bigint[])) WITH ORDINALITY AS w (stream, seq, nr)
CROSS JOIN LATERAL (
    SELECT * FROM events x WHERE x.stream = w.stream AND x.seq > w.seq ORDER BY x.seq LIMIT :max_of_stream
) e
{_JOINS}
ORDER BY w.nr, e.seq LIMIT :max_events"""),  # noqa: S608 - of our own parts
    LoggedEvent,
)


async def next_events(
    reader: Reader, after: Mapping[UUID, int], *, max_of_stream: int, max_events: int
) -> Sequence[LoggedEvent]:
    """The next events of several streams in one query: stream by stream in the given order, each in order of number.

    Args:
        reader: The primary.
        after: The last number that was read, by stream.
        max_of_stream: Limit for one stream.
        max_events: Limit for all; where it is reached, later streams are not read to their end.
    """
    values = {
        "streams": list(after),
        "seqs": list(after.values()),
        "max_of_stream": max_of_stream,
        "max_events": max_events,
    }
    return await reader.rows(_NEXT, values)


_SCANNED = 10_000
_PAGE = Query(
    text(f"""
SELECT {_COLUMNS}
FROM (
    SELECT * FROM events x
    WHERE x.stream = :stream AND x.seq > :since AND x.seq <= :until
        AND (CAST(:types AS text[]) IS NULL OR x.type = ANY(CAST(:types AS text[])))
        AND (CAST(:projects AS uuid[]) IS NULL OR x.project_id = ANY(CAST(:projects AS uuid[]))
            OR x.type = 'ticket.changed')
        AND (CAST(:tickets AS uuid[]) IS NULL OR x.ticket_id = ANY(CAST(:tickets AS uuid[])))
    ORDER BY x.seq LIMIT :limit
) e
{_JOINS}
ORDER BY e.seq"""),  # noqa: S608 - of our own parts
    LoggedEvent,
)


async def page_of_events(
    reader: Reader, stream: UUID, *, since: int, head: int, event_filter: EventFilter, limit: int
) -> tuple[Sequence[LoggedEvent], int]:
    """A superset of the next matching events of a stream, and the number up to which the stream was scanned.

    Every `ticket.changed` is included: only its `data` says whether it moves a ticket out of a project, or hides it
    from somebody.
    """
    until = min(head, since + _SCANNED)
    types = (
        {*event_filter.types, "ticket.changed"}
        if "ticket.removed" in event_filter.types
        else event_filter.types
    )
    values: dict[str, Any] = {"stream": stream, "since": since, "until": until, "limit": limit}
    asked = {"types": types, "projects": event_filter.projects, "tickets": event_filter.tickets}
    values |= {name: list(those) or None for name, those in asked.items()}
    events = await reader.rows(_PAGE, values)
    return events, events[-1].seq if len(events) == limit else until


_HEAD = Query(select(EventStream.last_seq).where(EventStream.stream == bindparam("stream")), int)


async def head_of(reader: Reader, stream: UUID) -> int:
    """The number of the newest event; 0 for a stream that has none."""
    return await reader.row(_HEAD, {"stream": stream}) or 0


class _Age(Row):
    is_old: bool


# An event that was recorded later than it happened counts from when it was recorded.
_IS_OLD = Query(
    text("""
SELECT coalesce(CASE WHEN e.cause ->> 'recorded_later' <> 'true'
                     THEN CAST(e.cause ->> 'recorded_later' AS timestamptz) END, e.at) < now() - :life AS is_old
FROM events e WHERE e.stream = :stream AND e.seq = :seq"""),
    _Age,
)


async def is_older(reader: Reader, stream: UUID, seq: int, *, than: timedelta) -> bool:
    """Whether an event is older than `than`; False where there is none."""
    found = await reader.row(_IS_OLD, {"stream": stream, "seq": seq, "life": than})
    return found is not None and found.is_old


# --- rights ---------------------------------------------------------------------------------------------------------


_asked = (
    func.unnest(bindparam("sessions", type_=ARRAY(Uuid)), bindparam("companies", type_=ARRAY(Uuid)))
    .table_valued("session_id", "company_id")
    .render_derived("asked")
)
_RIGHTS = Query(
    select(
        _asked.c.session_id,
        _asked.c.company_id,
        and_(Session.id.is_not(None), Session.ended_at.is_(None), EXISTING).label("is_signed_in"),
        # A ban without end makes a NULL of ACTIVE.
        and_(User.id.is_not(None), ACTIVE.is_not(true()), EXISTING).label("is_banned"),
        case((and_(Company.id.is_not(None), ACTIVE), Member.role)).label("role"),
    )
    .select_from(_asked)
    .outerjoin(Session, Session.id == _asked.c.session_id)
    .outerjoin(User, User.id == Session.user_id)
    .outerjoin(Member, (Member.user_id == User.id) & (Member.company_id == _asked.c.company_id) & EFFECTIVE)
    .outerjoin(Company, (Company.id == Member.company_id) & Company.verified),
    ConnectionRights,
)


async def connection_rights(
    reader: Reader, connections: Collection[tuple[UUID, UUID]]
) -> Sequence[ConnectionRights]:
    """The current rights of several connections, each identified by its session and its company."""
    asked = list(set(connections))
    sessions, companies = [session for session, _ in asked], [company for _, company in asked]
    return await reader.rows(_RIGHTS, {"sessions": sessions, "companies": companies})


# --- the board ------------------------------------------------------------------------------------------------------


# At most the current time: a transaction that begins to write later writes later times. Where the start of one is not
# known (`track_activities` is off), it was within the last seconds: none lives longer without a statement.
_SETTLED = Query(
    text("""
SELECT least(statement_timestamp(), min(coalesce(xact_start, statement_timestamp() - interval '10 seconds'))) AS settled
FROM pg_stat_activity
WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()"""),
    datetime,
)


async def settled_moment(reader: Reader) -> datetime:
    """The watermark: reads after this call see all events up to this moment that there will ever be.

    An event's time is never before the start of its transaction, and every transaction that is writing is in
    `pg_stat_activity` until it has committed. PostgreSQL hides those of other roles there, so all processes of BugRelay
    must connect as the same role.
    """
    moment = await reader.row(_SETTLED)
    assert moment is not None  # noqa: S101 - an aggregate has a row
    return moment


_UNREAD = """
    LEFT JOIN unnest(CAST(:streams AS uuid[]), CAST(:seqs AS bigint[])) AS r (stream, seq) ON r.stream = x.stream
    WHERE x.visibility = 'public' AND x.at > :moment AND x.seq > coalesce(r.seq, 0) AND NOT x.cause ? 'recorded_later'
"""
_BOARD = Query(
    text(f"""
SELECT {_COLUMNS}
FROM (
    SELECT x.* FROM events x {_UNREAD} AND x.bug_id IS NOT NULL
    ORDER BY x.at, x.stream, x.seq LIMIT :limit
) e
{_JOINS}
ORDER BY e.at, e.stream, e.seq"""),  # noqa: S608 - of our own parts
    LoggedEvent,
)
# The events of a bug have two partial indexes, one for votes and one for all other types.
_BUG = Query(
    text(f"""
SELECT {_COLUMNS}
FROM (
    SELECT x.* FROM events x {_UNREAD} AND x.bug_id = :bug_id AND x.type <> 'bug.voted'
    UNION ALL
    SELECT x.* FROM events x {_UNREAD} AND x.bug_id = :bug_id AND x.type = 'bug.voted'
    ORDER BY at, stream, seq LIMIT :limit
) e
{_JOINS}
ORDER BY e.at, e.stream, e.seq"""),  # noqa: S608 - of our own parts
    LoggedEvent,
)


async def board_events(
    reader: Reader, cursor: BoardCursor, *, bug_id: UUID | None = None, limit: int
) -> Sequence[LoggedEvent]:
    """The next public events of all bugs, or of one, in order of time; within a stream and within a bug in commit
    order."""
    values = {**_values_of(cursor), "limit": limit}
    if bug_id is None:
        return await reader.rows(_BOARD, values)
    return await reader.rows(_BUG, {**values, "bug_id": bug_id})


class _Newest(Row):
    stream: UUID
    seq: int
    at: datetime


_NEWEST = Query(
    text("SELECT stream, max(seq) AS seq, max(at) AS at FROM events WHERE at > :moment GROUP BY stream"),
    _Newest,
)


async def end_of_log(reader: Reader) -> BoardCursor:
    """The cursor after everything that is committed, of all streams."""
    settled = await settled_moment(reader)
    newest = await reader.rows(_NEWEST, {"moment": settled})
    return BoardCursor(settled, {row.stream: (row.seq, row.at) for row in newest})


# --- the whole log --------------------------------------------------------------------------------------------------


class PrintedEvent(Row):
    """An event as `bugrelay events` prints it.

    `domain` is its company's; None in streams of bugs without a company. `agent` is the automation that acted:
    `rule:<id>`, `github`, `link`, `system`; None for users.
    """

    stream: UUID
    seq: int
    at: datetime
    domain: str | None
    type: str
    visibility: str
    username: str | None
    agent: str | None
    subject: str | None
    data: dict[str, Any]


_EVERYTHING = Query(
    text("""
SELECT e.stream, e.seq, e.at, c.domain, e.type, e.visibility, u.username,
    CASE e.cause ->> 'kind' WHEN 'user' THEN NULL WHEN 'rule' THEN e.cause -> 'chain' ->> -1
        ELSE e.cause ->> 'kind' END AS agent,
    coalesce(t.key, CAST(coalesce(e.bug_id, e.ticket_id, e.project_id) AS text)) AS subject, e.data
FROM (
    SELECT x.* FROM events x
    LEFT JOIN unnest(CAST(:streams AS uuid[]), CAST(:seqs AS bigint[])) AS r (stream, seq) ON r.stream = x.stream
    WHERE x.at > :moment AND x.seq > coalesce(r.seq, 0) AND NOT x.cause ? 'recorded_later'
        AND (CAST(:stream AS uuid) IS NULL OR x.stream = :stream)
    ORDER BY x.at, x.stream, x.seq LIMIT :limit
) e
LEFT JOIN companies c ON c.id = e.stream
LEFT JOIN users u ON u.id = e.actor_id
LEFT JOIN tickets t ON t.company_id = e.stream AND t.id = e.ticket_id
ORDER BY e.at, e.stream, e.seq"""),
    PrintedEvent,
)


async def all_events(
    reader: Reader, cursor: BoardCursor, *, stream: UUID | None, limit: int
) -> Sequence[PrintedEvent]:
    """The next events of all streams, or of one, internal ones included, in order of time."""
    return await reader.rows(_EVERYTHING, {**_values_of(cursor), "stream": stream, "limit": limit})


_LATEST = Query(
    text("SELECT at FROM events ORDER BY at DESC OFFSET :back LIMIT 1"),
    datetime,
)
_LATEST_OF_STREAM = Query(
    text("SELECT at FROM events WHERE stream = :stream ORDER BY seq DESC OFFSET :back LIMIT 1"),
    datetime,
)


async def moment_of_latest(reader: Reader, *, stream: UUID | None, back: int) -> datetime | None:
    """The time of the newest event but `back`, in all streams or in one; None where there are fewer."""
    if stream is None:
        return await reader.row(_LATEST, {"back": back})
    return await reader.row(_LATEST_OF_STREAM, {"stream": stream, "back": back})


def _values_of(cursor: BoardCursor) -> dict[str, Any]:
    return {
        "moment": cursor.moment,
        "streams": list(cursor.read),
        "seqs": [seq for seq, _ in cursor.read.values()],
    }
