"""Statistics of a company's tickets, for members and admins.

Current counts are sums of `ticket_counts`; counts of a period use an index. Each statement is compiled once for each
set of conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Date,
    DateTime,
    Float,
    Integer,
    Select,
    bindparam,
    cast,
    func,
    select,
    tuple_,
)

from bugrelay.domain.accounts.models import User
from bugrelay.domain.companies.models import Company, Member
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.companies.visibility import EFFECTIVE
from bugrelay.domain.events.models import EventRow, EventStream
from bugrelay.domain.tickets.models import (
    DailyStats,
    DailyStatsDay,
    Project,
    Ticket,
    TicketAssignee,
    TicketComment,
)
from bugrelay.domain.tickets.repository.columns import NAME, values_of
from bugrelay.domain.tickets.repository.counts import COUNTS
from bugrelay.domain.tickets.repository.tickets import listed_tickets
from bugrelay.domain.tickets.schemas import (
    DayStats,
    DepartmentCount,
    Flow,
    PriorityCount,
    ReportScope,
    StatusCount,
    TicketCounts,
    TicketDetail,
    UserActivity,
)
from bugrelay.domain.tickets.schemes import DONE, PRIORITIES, known_statuses
from bugrelay.domain.tickets.visibility import COMPANY_ID
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery

NEWEST = 10
MAX_DEPARTMENTS = 1000
MAX_CLOSED = 1000  # the median is that of the last tickets closed
SECONDS_AN_HOUR = 3600

_CATEGORIES = ("todo", "doing", DONE)
_Names = tuple[str, ...]
_listed = (Ticket.company_id == COMPANY_ID, Ticket.removed_at.is_(None))


def _moment(name: str) -> ColumnElement[datetime]:
    return bindparam(name, type_=DateTime(timezone=True))


def _values(tenant: Tenant, scope: ReportScope) -> tuple[_Names, dict[str, Any]]:
    """The names of the conditions of a scope, and the values of their parameters."""
    used: dict[str, Any] = {
        "project_id": scope.project_id,
        "scheme": scope.scheme,
        "first": scope.first_day and _midnight(scope.first_day),
        "last": scope.last_day and _midnight(scope.last_day + timedelta(days=1)),
    }
    used = {name: value for name, value in used.items() if value is not None}
    return tuple(used), values_of(tenant, **used)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _of(names: Iterable[str], project_id: Any) -> list[ColumnElement[bool]]:
    """Conditions on the project."""
    schemes = select(Project.id).where(
        Project.company_id == COMPANY_ID, Project.scheme == bindparam("scheme")
    )
    conditions = {"project_id": project_id == bindparam("project_id"), "scheme": project_id.in_(schemes)}
    return [conditions[name] for name in names if name in conditions]


def _within(names: Iterable[str], moment: Any) -> list[ColumnElement[bool]]:
    """Conditions on the days."""
    conditions = {"first": moment >= _moment("first"), "last": moment < _moment("last")}
    return [conditions[name] for name in names if name in conditions]


# --- counts ---------------------------------------------------------------------------------------------------------


class _CountRow(Row):
    """A count by status and category, by priority or by department; the other columns are None."""

    status: str | None
    category: str | None
    priority: str | None
    department: str | None
    count: int


def _grouped(columns: Any, count: ColumnElement[int], *conditions: ColumnElement[bool]) -> Query[_CountRow]:
    department = func.coalesce(columns.department, "")
    sets = func.grouping_sets(tuple_(columns.status, columns.category), columns.priority, department)
    grouped: Select[Any] = (
        select(
            columns.status,
            columns.category,
            columns.priority,
            department.label("department"),
            cast(count, Integer).label("count"),
        )
        .where(*conditions)
        .group_by(sets)
        .having(count > 0)
    )
    return Query(grouped, _CountRow)


@lru_cache
def _counts_by_now(names: _Names) -> Query[_CountRow]:
    return _grouped(COUNTS.c, func.sum(COUNTS.c["count"]), *_of(names, COUNTS.c.project_id))


@lru_cache
def _counts_of_days(names: _Names) -> Query[_CountRow]:
    conditions = [*_listed, *_of(names, Ticket.project_id), *_within(names, Ticket.created_at)]
    return _grouped(Ticket.__table__.c, func.count(), *conditions)


async def ticket_counts(reader: Reader, tenant: Tenant, scope: ReportScope) -> TicketCounts:
    """Tickets of the scope that are not removed; with days, those that were created in them."""
    names, values = _values(tenant, scope)
    in_days = not {"first", "last"}.isdisjoint(names)
    rows = await reader.rows((_counts_of_days if in_days else _counts_by_now)(names), values)
    priorities = {row.priority: row.count for row in rows if row.priority is not None}
    order = known_statuses()
    by_status = [
        StatusCount(row.status, row.category, row.count)
        for row in rows
        if row.status is not None and row.category is not None
    ]
    by_department = [
        DepartmentCount(row.department or None, row.count) for row in rows if row.department is not None
    ]
    return TicketCounts(
        sorted(by_status, key=lambda one: (_CATEGORIES.index(one.category), order.index(one.status))),
        [PriorityCount(name, priorities.get(name, 0)) for name in PRIORITIES],
        sorted(by_department, key=lambda one: (-one.count, one.department or ""))[:MAX_DEPARTMENTS],
    )


# --- a dashboard ----------------------------------------------------------------------------------------------------


@lru_cache
def _flow(names: _Names) -> Query[Flow]:
    of_project = _of(names, Ticket.project_id)
    created = select(func.count()).where(*_listed, *of_project, Ticket.created_at >= _moment("today"))
    closed = select(func.count()).where(*_listed, *of_project, Ticket.resolved_at >= _moment("today"))
    last_closed = (
        select(Ticket.created_at, Ticket.resolved_at)
        .where(*_listed, Ticket.resolved_at.is_not(None), *of_project, *_within(names, Ticket.resolved_at))
        .order_by(Ticket.resolved_at.desc())
        .limit(MAX_CLOSED)
        .subquery("last_closed")
    )
    hours = func.extract("epoch", last_closed.c.resolved_at - last_closed.c.created_at) / SECONDS_AN_HOUR
    median = func.percentile_cont(0.5).within_group(cast(func.greatest(hours, 0), Float))
    return Query(
        select(
            created.scalar_subquery().label("created_today"),
            closed.scalar_subquery().label("closed_today"),
            select(median).select_from(last_closed).scalar_subquery().label("median_hours_to_close"),
        ),
        Flow,
    )


async def ticket_flow(reader: Reader, tenant: Tenant, scope: ReportScope, *, today: date) -> Flow:
    """Created and closed today, and the median time to close of the thousand tickets closed last in the period."""
    names, values = _values(tenant, scope)
    row = await reader.row(_flow(names), values | {"today": _midnight(today)})
    median = row.median_hours_to_close if row else None
    rounded = None if median is None else round(median, 2)
    return Flow(row.created_today if row else 0, row.closed_today if row else 0, rounded)


@lru_cache
def _newest(names: _Names) -> Query[UUID]:
    newest = select(Ticket.id).where(*_listed, *_of(names, Ticket.project_id))
    return Query(newest.order_by(Ticket.created_at.desc(), Ticket.id.desc()).limit(NEWEST), UUID)


async def newest_tickets(reader: Reader, tenant: Tenant, scope: ReportScope) -> list[TicketDetail]:
    """The ten newest tickets of the scope's projects, regardless of its days."""
    names, values = _values(tenant, scope)
    return await listed_tickets(reader, tenant, await reader.rows(_newest(names), values))


_FIGURES = DayStats.__struct_fields__[1:]


@lru_cache
def _days(names: _Names) -> Query[DayStats]:
    sums = (cast(func.sum(getattr(DailyStats, name)), Integer).label(name) for name in _FIGURES)
    days = select(DailyStats.date, *sums).where(
        DailyStats.company_id == COMPANY_ID,
        *_of(names, DailyStats.project_id),
        DailyStats.date.between(bindparam("first_day", type_=Date), bindparam("last_day", type_=Date)),
    )
    return Query(days.group_by(DailyStats.date).order_by(DailyStats.date), DayStats)


async def daily_stats(reader: Reader, tenant: Tenant, scope: ReportScope) -> Sequence[DayStats]:
    """The days of the scope that were counted, in order."""
    names, values = _values(tenant, scope)
    return await reader.rows(
        _days(names), values | {"first_day": scope.first_day, "last_day": scope.last_day}
    )


# --- users ----------------------------------------------------------------------------------------------------------

_PEOPLE = (
    select(User.id, User.username, NAME.label("name"))
    .select_from(Member)
    .join(User, User.id == Member.user_id)
    .join(Company, Company.id == Member.company_id)
    .where(Member.company_id == COMPANY_ID, Company.verified, EFFECTIVE)
)
_PEOPLE_TOTAL = Query(select(func.count()).select_from(_PEOPLE.subquery()), int)


def _closed_by(names: _Names) -> Any:
    """The number of tickets that each user has closed, from the log since the first day."""
    before = (
        select(func.max(DailyStatsDay.last_seq))
        .where(
            DailyStatsDay.company_id == COMPANY_ID, DailyStatsDay.date < bindparam("first_day", type_=Date)
        )
        .scalar_subquery()
    )
    return (
        select(EventRow.actor_id, func.count(EventRow.ticket_id.distinct()).label("closed"))
        .join(Ticket, (Ticket.company_id == COMPANY_ID) & (Ticket.id == EventRow.ticket_id))
        .where(
            EventRow.stream == COMPANY_ID,
            EventRow.seq > func.coalesce(before, 0),
            EventRow.type == "ticket.status_changed",
            EventRow.data["category"].astext == DONE,
            Ticket.removed_at.is_(None),
            *_within(names, EventRow.at),
            *_of(names, EventRow.project_id),
        )
        .group_by(EventRow.actor_id)
        .cte("closed_by")
    )


def _count(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(func.count()).select_from(Ticket).where(*_listed, *conditions)


def _commented_by(user_id: ColumnElement[UUID], names: _Names) -> Select[Any]:
    return (
        select(func.count())
        .select_from(TicketComment)
        .join(Ticket, (Ticket.company_id == COMPANY_ID) & (Ticket.id == TicketComment.ticket_id))
        .where(
            TicketComment.company_id == COMPANY_ID,
            TicketComment.author_id == user_id,
            TicketComment.removed_at.is_(None),
            Ticket.removed_at.is_(None),
            *_of(names, Ticket.project_id),
            *_within(names, TicketComment.created_at),
        )
    )


def _assigned_to(user_id: ColumnElement[UUID], names: _Names) -> Select[Any]:
    """The number of a user's tickets that are not done."""
    assignee = (TicketAssignee.company_id == COMPANY_ID) & (TicketAssignee.ticket_id == Ticket.id)
    open_tickets = _count(Ticket.category != DONE, *_of(names, Ticket.project_id))
    return open_tickets.join(TicketAssignee, assignee).where(TicketAssignee.user_id == user_id)


@lru_cache
def _activity(names: _Names) -> Query[UserActivity]:
    people = (
        _PEOPLE.order_by(User.username, User.id)
        .limit(bindparam("limit", type_=Integer))
        .offset(bindparam("offset", type_=Integer))
        .subquery("people")
    )
    created = _count(
        Ticket.reporter_id == people.c.id, *_of(names, Ticket.project_id), *_within(names, Ticket.created_at)
    )
    commented, assigned = _commented_by(people.c.id, names), _assigned_to(people.c.id, names)
    closed = _closed_by(names)
    return Query(
        select(
            people.c.id,
            people.c.username,
            people.c.name,
            created.correlate(people).scalar_subquery().label("created"),
            func.coalesce(closed.c.closed, 0).label("closed"),
            commented.correlate(people).scalar_subquery().label("commented"),
            assigned.correlate(people).scalar_subquery().label("open_assigned"),
        )
        .select_from(people.outerjoin(closed, closed.c.actor_id == people.c.id))
        .order_by(people.c.username, people.c.id),
        UserActivity,
    )


async def user_activity(
    reader: Reader, tenant: Tenant, scope: ReportScope, *, page: PageQuery
) -> tuple[Sequence[UserActivity], int]:
    """A page of the company's users by name, with their activity in the scope's days, and the number of users."""
    names, values = _values(tenant, scope)
    total = await reader.row(_PEOPLE_TOTAL, values)
    rows = await reader.rows(
        _activity(names), values | {"first_day": scope.first_day, "limit": page.limit, "offset": page.offset}
    )
    return rows, total or 0


_COMPANIES_WITH_EVENTS = Query(
    select(Company.id).join(EventStream, EventStream.stream == Company.id).order_by(Company.id), UUID
)


async def companies_with_events(reader: Reader) -> Sequence[UUID]:
    """All companies that have events in the log."""
    return await reader.rows(_COMPANIES_WITH_EVENTS)
