"""Lists of tickets. A statement depends on which filters are used, and is compiled once for each set of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Text, bindparam, exists, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.models import SEVERITY, Project, Ticket, TicketAssignee
from bugrelay.domain.tickets.repository.columns import values_of
from bugrelay.domain.tickets.repository.tickets import listed_tickets
from bugrelay.domain.tickets.schemas import TicketDetail, TicketQuery
from bugrelay.domain.tickets.visibility import COMPANY_ID, by_sight, visible_to
from bugrelay.errors import ValidationFailed
from bugrelay.infra.db.query import Query, Reader
from bugrelay.infra.pagination import CursorPagination, decoded_cursor, encoded_cursor

CACHED_STATEMENTS = 512

_theirs = aliased(TicketAssignee)
_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "status": Ticket.status == bindparam("status"),
    "category": Ticket.category == bindparam("category"),
    "priority": Ticket.priority == bindparam("priority"),
    "project_id": Ticket.project_id == bindparam("project_id"),
    "scheme": Ticket.project_id.in_(
        select(Project.id).where(Project.company_id == COMPANY_ID, Project.scheme == bindparam("scheme"))
    ),
    "department": Ticket.department == bindparam("department"),
    "reporter_id": Ticket.reporter_id == bindparam("reporter_id"),
    "assignee_id": exists().where(
        _theirs.company_id == COMPANY_ID,
        _theirs.ticket_id == Ticket.id,
        _theirs.user_id == bindparam("assignee_id"),
    ),
    "tag": Ticket.tags.contains(bindparam("tag", type_=ARRAY(Text))),
    "created_from": Ticket.created_at >= bindparam("created_from"),
    "created_to": Ticket.created_at < bindparam("created_to"),
}


class _Order(NamedTuple):
    """The keys of a list's order, all in one direction; the last one is the id, which makes it total."""

    keys: tuple[Any, ...]
    types: tuple[type, ...]
    ascending: bool = False


_ORDERS: Mapping[str, _Order] = {
    "recent": _Order((Ticket.created_at, Ticket.id), (datetime, UUID)),
    "oldest": _Order((Ticket.created_at, Ticket.id), (datetime, UUID), ascending=True),
    "updated": _Order((Ticket.updated_at, Ticket.id), (datetime, UUID)),
    "priority": _Order((SEVERITY, Ticket.created_at, Ticket.id), (int, datetime, UUID)),
}


class TicketPage(NamedTuple):
    """A page of a list, and where it stands."""

    tickets: list[TicketDetail]
    pagination: CursorPagination


async def list_tickets(reader: Reader, tenant: Tenant, query: TicketQuery) -> TicketPage:
    """A page of the tickets that the tenant's user sees.

    Raises:
        ValidationFailed: A cursor of another list, or beside a page.
    """
    if query.cursor is not None and query.page > 1:
        raise ValidationFailed.of("cursor", "leads to a page of its own: leave out page")
    sort = query.sort or "recent"
    order = _ORDERS[sort]
    filters = _filters(query)
    values = values_of(tenant, **filters)
    total = await reader.row(_total(tuple(filters)).of(tenant), values) or 0
    page: dict[str, Any] = {"limit": query.limit + 1, "offset": query.offset}
    if query.cursor is not None:
        keys = decoded_cursor(query.cursor).keys_of(sort, order.types)
        page = {"limit": query.limit + 1} | {f"after_{place}": key for place, key in enumerate(keys)}
    statement = _page(tuple(filters), sort, after=query.cursor is not None)
    rows = await reader.rows(statement.of(tenant), values | page)
    number = query.page_number
    following = encoded_cursor(sort, number + 1, rows[query.limit - 1]) if len(rows) > query.limit else None
    tickets = await listed_tickets(reader, tenant, [row[-1] for row in rows[: query.limit]])
    pages = -(-total // query.limit)
    return TicketPage(
        tickets,
        CursorPagination(number, query.limit, total, pages, following is not None, number > 1, following),
    )


def _filters(query: TicketQuery) -> dict[str, Any]:
    """The filters that are used, with the values of their parameters."""
    used = {name: value for name in _CONDITIONS if (value := getattr(query, name)) is not None}
    if "tag" in used:
        used["tag"] = [used["tag"]]
    return used


@lru_cache(maxsize=CACHED_STATEMENTS)
def _total(filters: tuple[str, ...]) -> Any:
    conditions = [_CONDITIONS[name] for name in filters]
    return by_sight(
        lambda tenant: Query(
            select(func.count()).select_from(Ticket).where(visible_to(tenant), *conditions), int
        )
    )


@lru_cache(maxsize=CACHED_STATEMENTS)
def _page(filters: tuple[str, ...], sort: str, *, after: bool) -> Any:
    """The keys of the rows of a page, by its number or behind a row; one row more than asked for tells of the next."""
    order = _ORDERS[sort]
    conditions = [_CONDITIONS[name] for name in filters]
    if after:
        row = tuple_(*(bindparam(f"after_{place}", type_=key.type) for place, key in enumerate(order.keys)))
        columns = tuple_(*order.keys)
        conditions.append(columns > row if order.ascending else columns < row)
    ordered = [key.asc() if order.ascending else key.desc() for key in order.keys]

    def page(tenant: Tenant) -> Query[tuple[Any, ...]]:
        found = select(*order.keys).where(visible_to(tenant), *conditions).order_by(*ordered)
        found = found.limit(bindparam("limit", type_=Integer))
        return Query(found if after else found.offset(bindparam("offset", type_=Integer)))

    return by_sight(page)
