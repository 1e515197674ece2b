"""The SQL of lists and searches of tickets. It depends on the query spec and the plan; each statement is compiled once.

A page is two statements: the keys of its rows beside the total (`page_query`), then what is shown of these tickets
(`repository.tickets.listed_tickets`). Every table is asked for rows of `:company_id`, also where `:company` names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Select,
    Subquery,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from bugrelay.domain.tickets.models import (
    SEVERITY,
    Project,
    Ticket,
    TicketSearch,
    ticket_search_changes,
)
from bugrelay.domain.tickets.repository.counts import COUNTS
from bugrelay.domain.tickets.search.query import BEST_OF_WORD, NUMBER_WEIGHT, WEIGHTS, Plan, QuerySpec, Span
from bugrelay.domain.tickets.visibility import COMPANY_ID
from bugrelay.infra.db.keyset import page_of_keys, rows_of_page
from bugrelay.infra.db.query import Query, Row
from bugrelay.infra.db.types import PgSnapshot
from bugrelay.infra.incremental_counts import Counted

CACHED_STATEMENTS = 512

_tickets = Ticket.__table__
_documents = TicketSearch.__table__
_LISTED = _tickets.c.removed_at.is_(None)


class KeyRow(Row):
    """A ticket of a page by the keys of its order; those of other orders are None, and all of them on an empty page."""

    score: int | None
    urgency: int | None
    created_at: datetime | None
    updated_at: datetime | None
    id: UUID | None


class PageRow(KeyRow):
    """The same with the total, or with its change, and what the next one is counted from."""

    total: int
    snapshot: str
    era: str


# --- a page ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=CACHED_STATEMENTS)
def page_query(spec: QuerySpec, plan: Plan, *, incremental: bool = False) -> Query[PageRow]:
    """The rows of a page by their keys, each beside the total; of an empty page one row without keys."""
    page = _page(spec, plan)
    total = _total(spec, incremental=incremental).subquery("counted")
    return Query(_rows(spec, page, beside=total), PageRow)


@lru_cache(maxsize=CACHED_STATEMENTS)
def keys_query(spec: QuerySpec, plan: Plan) -> Query[KeyRow]:
    """The rows of a page by their keys alone."""
    return Query(_rows(spec, _page(spec, plan)), KeyRow)


@lru_cache(maxsize=CACHED_STATEMENTS)
def total_query(spec: QuerySpec, *, incremental: bool = False) -> Query[Counted]:
    """The total alone."""
    return Query(_total(spec, incremental=incremental), Counted)


def _page(spec: QuerySpec, plan: Plan) -> Subquery:
    found = _found(spec, plan)
    return page_of_keys(
        found.source,
        keys={name: found.columns[name] for name in spec.keys},
        conditions=found.conditions,
        ascending=spec.order == "oldest",
        is_after=plan.keyset,
    )


def _rows(spec: QuerySpec, page: Subquery, *, beside: Subquery | None = None) -> Select[Any]:
    return rows_of_page(
        page, columns=KeyRow.__struct_fields__, ascending=spec.order == "oldest", beside=beside
    )


# --- where tickets are found ----------------------------------------------------------------------------------------


class _Found(NamedTuple):
    """Tickets that match: where they come from, under which conditions, and the columns that they can be ordered by."""

    source: FromClause
    conditions: list[ColumnElement[bool]]
    columns: Mapping[str, ColumnElement[Any]]


_OF_TICKET: Mapping[str, ColumnElement[Any]] = {**dict(_tickets.c.items()), "urgency": SEVERITY}
_URGENCY = literal_column(str(SEVERITY).replace("tickets.", "ticket_search."), Integer)
_OF_DOCUMENT: Mapping[str, ColumnElement[Any]] = {
    "created_at": _documents.c.created_at,
    "urgency": _URGENCY,
    "id": _documents.c.ticket_id,
}
_BOTH = and_(
    _documents.c.company_id == COMPANY_ID,
    _tickets.c.company_id == COMPANY_ID,
    _documents.c.ticket_id == _tickets.c.id,
)


def _found(spec: QuerySpec, plan: Plan) -> _Found:
    if spec.order == "relevance":
        return _ranked(spec, plan)
    if spec.is_indexed:
        return _Found(_tickets, _listed(spec), _OF_TICKET)
    if plan.index_scan:
        return _by_index(spec)
    if spec.order == "updated":
        return _Found(_documents.join(_tickets, _BOTH), _matching(spec), _OF_TICKET)
    return _Found(_documents, _matching(spec, *_months(plan)), _OF_DOCUMENT)


def _months(plan: Plan) -> tuple[str, ...]:
    return ("months",) if plan.months else ()


def _listed(spec: QuerySpec) -> list[ColumnElement[bool]]:
    return [
        _tickets.c.company_id == COMPANY_ID,
        _LISTED,
        *(_filter(_tickets.c, name) for name in spec.filters),
    ]


def _matching(spec: QuerySpec, *names: str) -> list[ColumnElement[bool]]:
    """Documents that match the tsqueries in the parameters of these names, and those of the query that these do not
    imply."""
    conditions = [_filter(_documents.c, name) for name in spec.columns]
    matches = (_matches(_documents.c.document, name) for name in spec.tsqueries_in(names))
    return [_documents.c.company_id == COMPANY_ID, *conditions, *matches]


def _by_index(spec: QuerySpec) -> _Found:
    """In the order of an index of tickets; OFFSET 0 keeps the look at each one's document apart."""
    matches = and_(*(_matches(_documents.c.document, name) for name in spec.tsqueries)).is_(true())
    found = select(literal(1).label("one")).where(_BOTH, matches).offset(0).lateral()
    columns = (_filter(_tickets.c, name) for name in spec.columns)
    conditions = [_tickets.c.company_id == COMPANY_ID, _LISTED, *columns]
    return _Found(_tickets.join(found, true()), conditions, _OF_TICKET)


def _ranked(spec: QuerySpec, plan: Plan) -> _Found:
    best = _constant(BEST_OF_WORD * spec.words)
    parts = [_scored(spec, _score(spec), *([plan.tier] if plan.tier else []))]
    if plan.tier == "best":
        parts = [_scored(spec, _score(spec), "numbered"), _scored(spec, best, *_months(plan), "best")]
    elif plan.tier == "top" and spec.words == 1:  # each part scores alike, so that no document is read
        parts = [
            _scored(spec, _score(spec), "numbered"),
            _scored(spec, best, "best"),
            _scored(spec, _constant(WEIGHTS["A"]), "title"),
        ]
    found = union_all(*parts).subquery("found")
    columns = {"score": found.c.score, "created_at": found.c.created_at, "id": found.c.ticket_id}
    return _Found(found, [], columns)


def _scored(spec: QuerySpec, score: ColumnElement[int], *names: str) -> Select[Any]:
    columns = (_documents.c.ticket_id, _documents.c.created_at, score.label("score"))
    return select(*columns).where(*_matching(spec, *names))


def _constant(score: int) -> ColumnElement[int]:
    return literal_column(str(score), Integer)


def _score(spec: QuerySpec) -> ColumnElement[int]:
    """Ten times the relevance: the sum of the weights of fields over words. As text: a tree takes long to compile."""
    terms = {f"word_{i}_{label}": weight for i in range(spec.words) for label, weight in WEIGHTS.items()}
    terms |= {f"number_{i}": NUMBER_WEIGHT for i in range(spec.words)}
    cases = (
        f"CASE WHEN (ticket_search.document @@ :{name}) THEN {weight} ELSE 0 END"
        for name, weight in terms.items()
    )
    tsqueries = (bindparam(name, type_=TSQUERY) for name in terms)
    return type_coerce(text(" + ".join(cases)).bindparams(*tsqueries), Integer)


_OF_SCHEME = select(Project.id).where(Project.company_id == COMPANY_ID, Project.scheme == bindparam("scheme"))


def _filter(columns: Any, name: str) -> ColumnElement[bool]:
    condition: ColumnElement[bool]
    if name == "created_from":
        condition = columns.created_at >= bindparam(name, type_=DateTime(timezone=True))
    elif name == "created_to":
        condition = columns.created_at < bindparam(name, type_=DateTime(timezone=True))
    elif name == "scheme":
        condition = columns.project_id.in_(_OF_SCHEME)
    else:
        condition = columns[name] == bindparam(name)
    return condition


def _matches(document: Any, name: str) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = document.op("@@", is_comparison=True)(bindparam(name, type_=TSQUERY))
    return condition


# --- totals ---------------------------------------------------------------------------------------------------------

_SNAPSHOT = literal_column("pg_current_snapshot()::text", Text).label("snapshot")
# With the table's own number, which is another one after a restore: what was counted later than the dump is not there.
ERA = literal_column("(SELECT era::text || '/' || tableoid FROM ticket_search_era)", Text)


def _total(spec: QuerySpec, *, incremental: bool) -> Select[int, str, str]:
    """SELECT of the count, or of what the log has changed since `:snapshot`, with its own snapshot and the era."""
    if spec.is_counted:
        return select(_kept(spec).label("total"), _SNAPSHOT, ERA.label("era"))
    if incremental:
        return _change(spec)
    count = select(func.count().label("total"), _SNAPSHOT, ERA.label("era"))
    if spec.is_indexed:
        return count.select_from(_tickets).where(*_listed(spec))
    return count.select_from(_documents).where(*_matching(spec))


def _change(spec: QuerySpec) -> Select[int, str, str]:
    log = ticket_search_changes.c
    snapshot = cast(bindparam("snapshot", type_=Text), PgSnapshot())
    return (
        select(func.coalesce(func.sum(log.sign), 0).label("total"), _SNAPSHOT, ERA.label("era"))
        .select_from(ticket_search_changes)
        .where(
            log.transaction_id >= func.pg_snapshot_xmin(snapshot),
            ~func.pg_visible_in_snapshot(log.transaction_id, snapshot),
            log.company_id == COMPANY_ID,
            *(_matches(log.document, name) for name in spec.tsqueries),
            *(_filter(log, name) for name in spec.columns),
        )
    )


def _kept(spec: QuerySpec) -> ColumnElement[int]:
    """The sum of what triggers and a job keep."""
    conditions = (_filter(COUNTS.c, name) for name in spec.filters)
    total = select(func.coalesce(func.sum(COUNTS.c["count"]), 0)).where(*conditions).scalar_subquery()
    return cast(total, Integer)


# --- what is read before a list -------------------------------------------------------------------------------------

OPEN_PROJECTS = Query(
    select(Project.id)
    .where(Project.company_id == COMPANY_ID, Project.visibility == "company")
    .order_by(Project.id),
    UUID,
)
_moments = (
    select(Ticket.created_at).where(Ticket.company_id == COMPANY_ID, Ticket.removed_at.is_(None)).limit(1)
)
SPAN = Query(
    select(
        _moments.order_by(Ticket.created_at, Ticket.id).scalar_subquery().label("oldest"),
        _moments.order_by(Ticket.created_at.desc(), Ticket.id.desc()).scalar_subquery().label("newest"),
    ),
    Span,
)
