"""Every SELECT of feeds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Uuid, bindparam, literal_column, select, text

from bugrelay.domain.events.models import EventRow
from bugrelay.domain.feeds.models import FeedIdentity
from bugrelay.domain.feeds.schemas import FeedTag
from bugrelay.infra.db.query import Query, Reader, Row

_TAG = Query(select(FeedIdentity.authority, FeedIdentity.since), FeedTag)


async def feed_tag(reader: Reader) -> FeedTag | None:
    """The stored tag; None until the first feed is read."""
    return await reader.row(_TAG)


class BugEvent(Row):
    """One event of a bug, as everybody may see it.

    `actor` is None for anonymous users, jobs and the command line. `edited_at` and `content_html` are those of the
    event's comment, or of the report; `company` is the name of the company that wrote an official response.
    """

    stream: UUID
    seq: int
    type: str
    at: datetime
    data: dict[str, Any]
    actor: str | None
    edited_at: datetime | None
    content_html: str | None
    company: str | None

    @property
    def event_id(self) -> str:
        return f"evt_{self.stream}_{self.seq}"


# Votes would crowd out all other events. Removed comments are left out, and so are the events of removals.
BUG_EVENTS = Query(
    text("""
    SELECT e.stream, e.seq, e.type, e.at, e.data, a.username AS actor, c.edited_at,
        coalesce(c.content_html, t.description_html) AS content_html, o.name AS company
    FROM events e
    LEFT JOIN users a ON a.id = e.actor_id
    LEFT JOIN comments c ON c.id = (e.data->>'comment_id')::uuid AND c.bug_id = e.bug_id AND c.removed_at IS NULL
    LEFT JOIN companies o ON o.id = c.company_id AND c.is_company_response
    LEFT JOIN bug_texts t ON t.bug_id = e.bug_id AND e.type = 'bug.created'
    WHERE e.bug_id = :bug_id AND e.type <> 'bug.voted' AND e.visibility = 'public' AND (
        e.type IN ('bug.created', 'bug.edited', 'bug.merged', 'bug.unmerged', 'status.changed')
        OR e.type IN ('comment.created', 'response.created') AND c.id IS NOT NULL AND NOT e.data ? 'restored'
    )
    ORDER BY e.at DESC, e.seq DESC LIMIT :limit
    """).bindparams(bindparam("bug_id", type_=Uuid), bindparam("limit", type_=Integer)),
    BugEvent,
)
_LAST_EVENT = Query(
    select(EventRow.at)
    .where(EventRow.bug_id == bindparam("bug_id"), EventRow.type != literal_column("'bug.voted'"))
    .order_by(EventRow.at.desc())
    .limit(1),
    datetime,
)


async def bug_events(reader: Reader, bug_id: UUID, *, limit: int) -> Sequence[BugEvent]:
    """The newest events of a bug that everybody may see, newest first."""
    return await reader.rows(BUG_EVENTS, {"bug_id": bug_id, "limit": limit})


async def last_event_at(reader: Reader, bug_id: UUID) -> datetime | None:
    """The time of the bug's last event, including those that are not shown, but not its votes."""
    return await reader.row(_LAST_EVENT, {"bug_id": bug_id})
