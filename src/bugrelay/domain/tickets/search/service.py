"""Lists and searches of tickets: one story, from a query to a page with an exact total.

What was typed is read by the rules of all searches (infra/search/parser.py) and bound to a query spec (query.py); the
total decides which plans are tried; their SQL (statements.py) gives the keys of the page's rows, these what is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.repository.tickets import listed_tickets
from bugrelay.domain.tickets.schemas import TicketDetail, TicketQuery
from bugrelay.domain.tickets.search.query import (
    KEY_TYPES,
    BoundQuery,
    Plan,
    QuerySpec,
    bound,
    newest_months,
    plans,
)
from bugrelay.domain.tickets.search.statements import (
    NEWEST,
    OPEN_PROJECTS,
    KeyRow,
    PageRow,
    page_query,
    total_query,
)
from bugrelay.domain.tickets.search.totals import job_for
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.errors import ValidationFailed
from bugrelay.infra.db.query import Reader
from bugrelay.infra.incremental_counts import IncrementalCounts
from bugrelay.infra.pagination import CursorPagination, decoded_cursor, encoded_cursor
from bugrelay.infra.search.parser import parse_search


class TicketPage(NamedTuple):
    """A page of a list, and where it stands."""

    tickets: list[TicketDetail]
    pagination: CursorPagination


async def list_tickets(
    reader: Reader, counts: IncrementalCounts, tenant: Tenant, *, query: TicketQuery
) -> TicketPage:
    """A page of the tickets that the tenant's user sees, with the exact total.

    Raises:
        ValidationFailed: A cursor of another list, or beside a page.
    """
    if query.cursor is not None and query.page > 1:
        raise ValidationFailed.of("cursor", "leads to a page of its own: leave out page")
    wanted = await _bound(reader, tenant, query)
    if wanted is None:
        return TicketPage([], _pagination(query, 0, None))
    total, rows = await _rows(reader, counts, query, wanted)
    shown = [row.id for row in rows[: query.limit] if row.id]
    following = _cursor(query, wanted.spec, rows[query.limit - 1]) if len(rows) > query.limit else None
    return TicketPage(await listed_tickets(reader, tenant, shown), _pagination(query, total, following))


async def _bound(reader: Reader, tenant: Tenant, query: TicketQuery) -> BoundQuery | None:
    """The query with its values; None for a search that nothing can match."""
    search = None if query.q is None else await parse_search(reader, query.q)
    if search is not None and search.all_words is None:
        return None
    opened: Sequence[UUID] = ()
    if not sees_all(tenant):
        opened = await reader.rows(OPEN_PROJECTS, {"company_id": tenant.company_id})
    return bound(tenant, query, search=search, open_projects=opened)


async def _rows(
    reader: Reader, counts: IncrementalCounts, query: TicketQuery, wanted: BoundQuery
) -> tuple[int, Sequence[KeyRow]]:
    """The total, and the keys of the page's rows, one more than are shown."""
    spec = wanted.spec
    values = {**wanted.values, **_position(query, spec)}
    known = 0 if spec.is_indexed else await _known(reader, counts, wanted.without_columns())
    tried = plans(spec, total=known, keyset=query.cursor is not None)
    if any(plan.tier == "newest" for plan in tried):
        values["newest"] = newest_months(await reader.row(NEWEST, values) or datetime.now(UTC))
    for plan in tried:
        total, rows = await _read(reader, counts, wanted, plan=plan, values=values)
        next_score = rows[query.limit].score if len(rows) > query.limit else None
        if total <= query.offset or plan.is_settled(spec, next_score=next_score):
            break
    return total, rows


async def _known(reader: Reader, counts: IncrementalCounts, wanted: BoundQuery) -> int:
    """The total as it was a moment ago, good for choosing a plan."""
    if not wanted.spec.is_counted:
        known = counts.known(wanted.total_key)
        if known is not None:
            return known
    total, _ = await _counted(reader, counts, wanted)
    return total


async def _counted(
    reader: Reader, counts: IncrementalCounts, wanted: BoundQuery
) -> tuple[int, Sequence[Any]]:
    statement = partial(total_query, replace(wanted.spec, order="", words=0))
    if wanted.spec.is_counted:
        (counted,) = await reader.rows(statement(), wanted.values)
        return counted.total, [counted]
    job = await job_for(reader, counts, wanted)
    return await counts.read(reader, wanted.total_key, statement=statement, values=wanted.values, by_job=job)


async def _read(
    reader: Reader, counts: IncrementalCounts, wanted: BoundQuery, *, plan: Plan, values: Mapping[str, Any]
) -> tuple[int, Sequence[KeyRow]]:
    """The total and the rows, of one snapshot."""
    statement = partial(page_query, wanted.spec, plan)
    rows: Sequence[PageRow]
    if wanted.spec.is_counted:
        rows = await reader.rows(statement(), values)
        total = rows[0].total
    else:
        job = await job_for(reader, counts, wanted)
        total, rows = await counts.read(
            reader, wanted.total_key, statement=statement, values=values, by_job=job
        )
    return total, [row for row in rows if row.id is not None]


# --- where a page begins --------------------------------------------------------------------------------------------


def _position(query: TicketQuery, spec: QuerySpec) -> dict[str, Any]:
    """Offset or keyset, and the limit: one row more than is shown tells whether there are more.

    Raises:
        ValidationFailed: The cursor is of a list in another order.
    """
    position: dict[str, Any] = {"limit": query.limit + 1, "offset": query.offset}
    if query.cursor is None:
        return position
    keys = decoded_cursor(query.cursor).keys_of(spec.order, [KEY_TYPES[name] for name in spec.keys])
    return position | {f"after_{name}": key for name, key in zip(spec.keys, keys, strict=True)}


def _cursor(query: TicketQuery, spec: QuerySpec, row: KeyRow) -> str:
    """Leads to the page that begins after this row."""
    return encoded_cursor(spec.order, query.page_number + 1, [getattr(row, name) for name in spec.keys])


def _pagination(query: TicketQuery, total: int, following: str | None) -> CursorPagination:
    number = query.page_number
    pages = -(-total // query.limit)
    return CursorPagination(number, query.limit, total, pages, following is not None, number > 1, following)
