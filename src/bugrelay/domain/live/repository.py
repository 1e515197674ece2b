"""What is read for listeners: events, who may be told them, and how far the board is settled."""

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
from bugrelay.domain.live.schemas import LoggedEvent, Standing, Wanted
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
FROM unnest(CAST(:streams AS uuid[]), CAST(:seqs AS bigint[])) WITH ORDINALITY AS w (stream, seq, place)
CROSS JOIN LATERAL (
    SELECT * FROM events x WHERE x.stream = w.stream AND x.seq > w.seq ORDER BY x.seq LIMIT :most_each
) e
{_JOINS}
ORDER BY w.place, e.seq LIMIT :most"""),  # noqa: S608 - of our own parts
    LoggedEvent,
)


async def next_events(
    reader: Reader, places: Mapping[UUID, int], *, most_each: int, most: int
) -> Sequence[LoggedEvent]:
    """The next events of several streams, in one query: stream by stream as they are asked for, each in order.

    Args:
        reader: Where they are read.
        places: The number behind which each stream goes on.
        most_each: Of one stream.
        most: Of all; the streams behind the one that reaches it are not read to their end.
    """
    values = {"streams": list(places), "seqs": list(places.values()), "most_each": most_each, "most": most}
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
    reader: Reader, stream: UUID, *, since: int, head: int, wanted: Wanted, limit: int
) -> tuple[Sequence[LoggedEvent], int]:
    """The next events of a stream that may fit, and the number up to which it was looked through.

    Some changes more than those that fit: by its columns it is not known whether one takes a ticket out of a project,
    or out of somebody's sight.
    """
    until = min(head, since + _SCANNED)
    types = {*wanted.types, "ticket.changed"} if "ticket.removed" in wanted.types else wanted.types
    values: dict[str, Any] = {"stream": stream, "since": since, "until": until, "limit": limit}
    asked = {"types": types, "projects": wanted.projects, "tickets": wanted.tickets}
    values |= {name: list(those) or None for name, those in asked.items()}
    events = await reader.rows(_PAGE, values)
    return events, events[-1].seq if len(events) == limit else until


_HEAD = Query(select(EventStream.last_seq).where(EventStream.stream == bindparam("stream")), int)


async def head_of(reader: Reader, stream: UUID) -> int:
    """The number of the newest event; 0 of a stream that has none."""
    return await reader.row(_HEAD, {"stream": stream}) or 0


class _Age(Row):
    is_old: bool


# What was written later than it happened was told then, if at all.
_IS_OLD = Query(
    text("""
SELECT coalesce(CASE WHEN e.cause ->> 'recorded_later' <> 'true'
                     THEN CAST(e.cause ->> 'recorded_later' AS timestamptz) END, e.at) < now() - :life AS is_old
FROM events e WHERE e.stream = :stream AND e.seq = :seq"""),
    _Age,
)


async def is_older(reader: Reader, stream: UUID, seq: int, *, than: timedelta) -> bool:
    """Whether an event was written longer ago; False where there is none."""
    found = await reader.row(_IS_OLD, {"stream": stream, "seq": seq, "life": than})
    return found is not None and found.is_old


# --- rights ---------------------------------------------------------------------------------------------------------


_asked = (
    func.unnest(bindparam("sessions", type_=ARRAY(Uuid)), bindparam("companies", type_=ARRAY(Uuid)))
    .table_valued("session_id", "company_id")
    .render_derived("asked")
)
_STANDINGS = Query(
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
    Standing,
)


async def standings(reader: Reader, connections: Collection[tuple[UUID, UUID]]) -> Sequence[Standing]:
    """What several connections may do now, each named by its session and the company that it listens to."""
    asked = list(set(connections))
    sessions, companies = [session for session, _ in asked], [company for _, company in asked]
    return await reader.rows(_STANDINGS, {"sessions": sessions, "companies": companies})


# --- the board ------------------------------------------------------------------------------------------------------


# Of our own clock's moment, too: it is read first, and who begins to write later writes later times. Whose beginning is
# not known (`track_activities` is off) began within the last seconds: no transaction lives longer without a statement.
_SETTLED = Query(
    text("""
SELECT least(statement_timestamp(), min(coalesce(xact_start, statement_timestamp() - interval '10 seconds'))) AS settled
FROM pg_stat_activity
WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()"""),
    datetime,
)


async def settled_moment(reader: Reader) -> datetime:
    """Up to this moment, what is read afterwards has all events that there will ever be.

    An event's time is never before the beginning of its transaction. Whoever writes at this moment is seen by
    PostgreSQL's list of sessions until it has committed; that of other roles is not shown, so all processes of BugRelay
    connect as one.
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
# Two indexes, one for votes and one for all else, find the events of a bug.
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
    """The next public events of all bugs, or of one, in order of time: those of a stream and of a bug as committed."""
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
    """The place behind all that is committed, on the board and elsewhere."""
    settled = await settled_moment(reader)
    newest = await reader.rows(_NEWEST, {"moment": settled})
    return BoardCursor(settled, {row.stream: (row.seq, row.at) for row in newest})


# --- the whole log --------------------------------------------------------------------------------------------------


class PrintedEvent(Row):
    """An event for the operator's eye.

    `domain` is its company's; None in the streams of bugs without one. `agent` is what did it by itself: `rule:<id>`,
    `github`, `link`, `system`; None where somebody asked for it.
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
    """The next events of all streams, or of one, whoever may see them, in order of time."""
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
    """When the event was written that so many have followed, in all streams or in one; None where there are fewer."""
    if stream is None:
        return await reader.row(_LATEST, {"back": back})
    return await reader.row(_LATEST_OF_STREAM, {"stream": stream, "back": back})


def _values_of(cursor: BoardCursor) -> dict[str, Any]:
    return {
        "moment": cursor.moment,
        "streams": list(cursor.read),
        "seqs": [seq for seq, _ in cursor.read.values()],
    }
