"""The history of a ticket, from the event log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.events.schemas import Visibility
from bugrelay.domain.tickets.schemas import EntryId, HistoryEntry, TicketUser
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery

# One row for each field that an event changed, and one row for an event that changed none.
_ENTRIES = """
FROM events e
CROSS JOIN LATERAL jsonb_array_elements(
    CASE e.type
        WHEN 'ticket.changed' THEN e.data -> 'changes'
        WHEN 'ticket.status_changed' THEN jsonb_build_array(e.data || '{"field": "status"}')
        WHEN 'ticket.commented'
        THEN jsonb_build_array(jsonb_build_object('field', 'comment', 'to', e.data -> 'comment_id'))
        WHEN 'ticket.file_added'
        THEN jsonb_build_array(jsonb_build_object('field', 'attachment', 'to', e.data -> 'filename'))
        WHEN 'ticket.file_removed'
        THEN jsonb_build_array(jsonb_build_object('field', 'attachment', 'from', e.data -> 'filename'))
        WHEN 'ticket.text_blanked' THEN jsonb_build_array(e.data)
        WHEN 'ticket.linked'
        THEN jsonb_build_array(jsonb_build_object('field', 'link', 'to', e.data -> 'bug_id'))
        WHEN 'ticket.unlinked'
        THEN jsonb_build_array(jsonb_build_object('field', 'link', 'from', e.data -> 'bug_id'))
        ELSE '[{}]'
    END
) WITH ORDINALITY AS c (change, position)
"""
_OF_TICKET = "WHERE e.stream = :company_id AND e.ticket_id = :ticket_id AND e.visibility = ANY(:seen)"


class _EntryRow(Row):
    seq: int
    position: int
    type: str
    action: str | None
    at: datetime
    cause: dict[str, Any]
    field: str | None
    old_value: Any
    new_value: Any
    user_id: UUID | None
    username: str
    name: str


class LongTexts(Row):
    """The long values of a change, in `ticket_edits`."""

    version: int
    field: str
    old_value: str | None
    new_value: str | None


_PAGE = Query(
    text(f"""
SELECT e.seq, c.position, e.type, e.data ->> 'action' AS action, e.at, e.cause, c.change ->> 'field' AS field,
    coalesce(c.change -> 'from', to_jsonb(x.old_value)) AS old_value,
    coalesce(c.change -> 'to', to_jsonb(x.new_value)) AS new_value,
    u.id AS user_id, u.username, coalesce(u.display_name, u.username) AS name
{_ENTRIES}
LEFT JOIN ticket_edits x ON x.company_id = :company_id AND x.ticket_id = e.ticket_id AND x.version = e.version
    AND x.field = c.change ->> 'field' AND e.type = 'ticket.changed'
LEFT JOIN users u ON u.id = e.actor_id
{_OF_TICKET}
ORDER BY e.seq, c.position
LIMIT :limit OFFSET :offset"""),
    _EntryRow,
)
_TOTAL = Query(text(f"SELECT count(*) {_ENTRIES} {_OF_TICKET}"), int)
_CHANGED = Query(
    text(
        f"SELECT DISTINCT c.change ->> 'field' AS field {_ENTRIES} {_OF_TICKET} AND e.version > :version"
        " AND e.type IN ('ticket.changed', 'ticket.status_changed') ORDER BY 1"
    ),
    str,
)


_EDIT = Query(
    text(
        f"SELECT x.version, x.field, x.old_value, x.new_value {_ENTRIES}"
        " JOIN ticket_edits x ON x.company_id = :company_id AND x.ticket_id = e.ticket_id AND x.version = e.version"
        f" AND x.field = c.change ->> 'field' AND e.type = 'ticket.changed' {_OF_TICKET}"
        " AND e.seq = :seq AND c.position = :position"
    ),
    LongTexts,
)


def _values(tenant: Tenant, ticket_id: UUID, **values: Any) -> dict[str, Any]:
    seen: list[Visibility] = ["public", "tenant", "internal"] if sees_all(tenant) else ["public", "tenant"]
    return {"company_id": tenant.company_id, "ticket_id": ticket_id, "seen": seen, **values}


async def list_history(
    reader: Reader, tenant: Tenant, ticket_id: UUID, query: PageQuery
) -> tuple[list[HistoryEntry], int]:
    """A page of the changes of a visible ticket, oldest first, and the number of entries."""
    total = await reader.row(_TOTAL, _values(tenant, ticket_id))
    page = _values(tenant, ticket_id, limit=query.limit, offset=query.offset)
    return [_entry(tenant, row) for row in await reader.rows(_PAGE, page)], total or 0


def _entry(tenant: Tenant, row: _EntryRow) -> HistoryEntry:
    return HistoryEntry(
        id=str(EntryId(tenant.company_id, row.seq, row.position)),
        action=_action(row),
        field=row.field,
        old_value=row.old_value,
        new_value=row.new_value,
        user=TicketUser(row.user_id, row.username, row.name) if row.user_id else None,
        cause=row.cause,
        at=row.at,
    )


def _action(row: _EntryRow) -> str:
    """The type of the event; for comments also the action."""
    kind = row.type.partition(".")[2]
    return kind if row.action in (None, "created") else f"comment_{row.action}"


async def long_texts_of(reader: Reader, tenant: Tenant, ticket_id: UUID, entry: EntryId) -> LongTexts | None:
    """The texts of an entry of the ticket's history that are not in the log; None if it has none."""
    return await reader.row(_EDIT, _values(tenant, ticket_id, seq=entry.seq, position=entry.position))


async def fields_changed_since(
    reader: Reader, tenant: Tenant, ticket_id: UUID, version: int
) -> Sequence[str]:
    """The fields that have changed after a version, without those that the tenant's user may not see."""
    return await reader.rows(_CHANGED, _values(tenant, ticket_id, version=version))
