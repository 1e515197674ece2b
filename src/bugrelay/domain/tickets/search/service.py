"""Lists and searches of tickets: one story, from a query to a page with an exact total.

What was typed is read by the rules of all searches (infra/search/parser.py) and bound to a query spec (query.py); the
total decides which plans are tried; their SQL (statements.py) gives the keys of the page's rows, these what is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.repository.tickets import listed_tickets
from bugrelay.domain.tickets.schemas import TicketDetail, TicketPagination, TicketQuery
from bugrelay.domain.tickets.search.query import (
    KEY_TYPES,
    BoundQuery,
    QuerySpec,
    Span,
    bound,
    months_of_page,
    plans,
)
from bugrelay.domain.tickets.search.statements import OPEN_PROJECTS, SPAN, KeyRow
from bugrelay.domain.tickets.search.totals import Totals
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.errors import ValidationFailed
from bugrelay.infra.db.query import Reader
from bugrelay.infra.incremental_counts import IncrementalCounts
from bugrelay.infra.pagination import decoded_cursor, encoded_cursor
from bugrelay.infra.search.parser import parse_search


class TicketPage(NamedTuple):
    """A page of a list, and where it stands."""

    tickets: list[TicketDetail]
    pagination: TicketPagination


async def list_tickets(
    reader: Reader, counts: IncrementalCounts, tenant: Tenant, *, query: TicketQuery
) -> TicketPage:
    """A page of the tickets that the tenant's user sees, with the exact total.

    Raises:
        ValidationFailed: A cursor of another list, or beside a page.
    """
    if query.cursor is not None and query.page > 1:
        raise ValidationFailed.of("cursor", "already names a page: leave out `page`")
    wanted = await _bound(reader, tenant, query)
    if wanted is None:
        return TicketPage([], _pagination(query, 0, None))
    totals = Totals(reader, counts)
    total, rows = await _rows(totals, query, await totals.found_by(wanted))
    shown = [row.id for row in rows[: query.limit] if row.id]
    following = _cursor(query, wanted.spec, rows[query.limit - 1]) if len(rows) > query.limit else None
    return TicketPage(
        await listed_tickets(reader, tenant, shown),
        _pagination(query, total, following, is_estimated=totals.is_estimated),
    )


async def _bound(reader: Reader, tenant: Tenant, query: TicketQuery) -> BoundQuery | None:
    """The query with its values; None for a search that nothing can match."""
    search = None if query.q is None else await parse_search(reader, query.q)
    if search is not None and search.all_words is None:
        return None
    opened: Sequence[UUID] = ()
    if not sees_all(tenant):
        opened = await reader.rows(OPEN_PROJECTS, {"company_id": tenant.company_id})
    return bound(tenant, query, search=search, open_projects=opened)


async def _rows(totals: Totals, query: TicketQuery, wanted: BoundQuery) -> tuple[int, Sequence[KeyRow]]:
    """The total, and the keys of the page's rows, one more than are shown."""
    spec = wanted.spec
    values = {**wanted.values, **_position(query, spec)}
    hits = 0 if spec.is_indexed else await totals.about(wanted.without_columns())
    tried = plans(spec, total=hits, keyset=query.cursor is not None)
    if any(plan.months for plan in tried):
        values["months"] = await _months(totals, wanted, values, hits=hits)
        tried = [plan for plan in tried if values["months"] or not plan.months]
    for plan in tried:
        total, rows = await totals.with_page(wanted, plan, values)
        is_full = len(rows) > query.limit
        next_score = rows[query.limit].score if is_full else None
        is_past_the_end = total <= query.offset and not totals.is_estimated
        if is_past_the_end or plan.is_settled(spec, is_full=is_full, next_score=next_score):
            break
    return total, rows


async def _months(totals: Totals, wanted: BoundQuery, values: Mapping[str, Any], *, hits: int) -> str:
    """tsquery of the months that the page is probably in; `hits`: what the search index finds, without columns."""
    span = await totals.reader.row(SPAN, values)
    total = totals.counts.known(wanted.total_key) or hits
    return months_of_page(wanted.spec, span or Span(), values, total=total)


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


def _pagination(
    query: TicketQuery, total: int, following: str | None, *, is_estimated: bool = False
) -> TicketPagination:
    number = query.page_number
    pages = -(-total // query.limit)
    return TicketPagination(
        number, query.limit, total, pages, following is not None, number > 1, following, is_estimated
    )
