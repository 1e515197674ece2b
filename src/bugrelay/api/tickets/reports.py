"""`/api/v1/reports`: statistics of a company's tickets, as JSON or CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar
from uuid import UUID

from litestar import Controller, Response, get
from litestar.datastructures.headers import Accept
from msgspec import Struct

from bugrelay.api.tenant import require_tenant_member
from bugrelay.api.tickets.responses import PageOut, TicketOut, all_written_as, written_as
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.repository.reports import ticket_counts, user_activity
from bugrelay.domain.tickets.schemas import Day, ReportScope, TicketDashboard
from bugrelay.domain.tickets.service.reports import bounded, get_dashboard
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.pagination import PageQuery, Pagination
from bugrelay.infra.text.tables import MEDIA_TYPE, to_csv

MEMBERS = "a company's members and admins"
JSON = "application/json"
MEDIA_TYPES = (JSON, MEDIA_TYPE)

T = TypeVar("T")


class ReportQuery(Struct, kw_only=True, rename={"project_id": "projectId", "first": "from", "last": "to"}):
    """The scope of a report.

    Attributes:
        project_id: Only tickets of this project.
        first: The first day, in UTC.
        last: The last day, in UTC, inclusive.
    """

    project_id: UUID | None = None
    first: Day | None = None
    last: Day | None = None

    def scope(self) -> ReportScope:
        return ReportScope(project_id=self.project_id, first_day=self.first, last_day=self.last)


class ActivityQuery(
    PageQuery, kw_only=True, rename={"project_id": "projectId", "first": "from", "last": "to"}
):
    """The same, and which people.

    Attributes:
        project_id: Only what was done in this project.
        first: The first day, in UTC; by default thirty days up to the last one.
        last: The last day, in UTC, inclusive.
    """

    project_id: UUID | None = None
    first: Day | None = None
    last: Day | None = None

    def scope(self) -> ReportScope:
        return ReportScope(project_id=self.project_id, first_day=self.first, last_day=self.last)


class StatusCountOut(Struct):
    """The number of tickets with a status.

    Attributes:
        status: A word of a scheme.
        category: Its category, common to all schemes.
        count: The number of tickets.
    """

    status: str
    category: str
    count: int


class PriorityCountOut(Struct):
    """The number of tickets with a priority.

    Attributes:
        priority: The priority.
        count: The number of tickets.
    """

    priority: str
    count: int


class DepartmentCountOut(Struct):
    """The number of tickets of a department.

    Attributes:
        department: Its name; null for tickets without one.
        count: The number of tickets.
    """

    department: str | None
    count: int


class ByStatus(Struct):
    """Tickets by status, in the order of the workflow.

    Attributes:
        statuses: The statuses that tickets have.
        total: The number of tickets that were counted.
    """

    statuses: list[StatusCountOut]
    total: int


class ByPriority(Struct):
    """Tickets by priority.

    Attributes:
        priorities: All four, most urgent first.
        total: The number of tickets that were counted.
    """

    priorities: list[PriorityCountOut]
    total: int


class ByDepartment(Struct):
    """Tickets by department.

    Attributes:
        departments: The thousand with the most tickets, in that order.
        total: The number of tickets that were counted.
    """

    departments: list[DepartmentCountOut]
    total: int


class Totals(Struct, rename="camel"):
    """All tickets, by category.

    Attributes:
        total: All of them.
        todo: Tickets to do.
        doing: Tickets in progress.
        done: Tickets that are done.
    """

    total: int
    todo: int
    doing: int
    done: int


class DayOut(Struct, rename="camel"):
    """Statistics of tickets at the end of a UTC day; for today, at the last count.

    Attributes:
        date: The day.
        total_issues: All tickets.
        open_issues: Tickets in the first status of their scheme.
        triaged_issues: Other tickets to do.
        in_progress_issues: Tickets in progress.
        done_issues: Tickets that were done.
        low_count: Tickets with the priority low.
        medium_count: Tickets with the priority medium.
        high_count: Tickets with the priority high.
        critical_count: Tickets with the priority critical.
        created_count: Tickets created on that day.
        resolved_count: Tickets that became done on that day, each time counted.
    """

    date: date
    total_issues: int
    open_issues: int
    triaged_issues: int
    in_progress_issues: int
    done_issues: int
    low_count: int
    medium_count: int
    high_count: int
    critical_count: int
    created_count: int
    resolved_count: int


class DashboardOut(Struct, kw_only=True, rename="camel"):
    """A company's dashboard.

    Attributes:
        totals: By category.
        by_status: As in `tickets-by-status`.
        by_priority: As in `tickets-by-priority`.
        by_department: As in `tickets-by-department`.
        created_today: Tickets created since midnight, UTC.
        closed_today: Tickets that became done since midnight, UTC, and still are.
        median_hours_to_close: The median of the thousand tickets closed last in the period; null without any.
        newest: The ten newest tickets.
        daily: A row for each counted day of the period; updated every thirty minutes.
    """

    totals: Totals
    by_status: list[StatusCountOut]
    by_priority: list[PriorityCountOut]
    by_department: list[DepartmentCountOut]
    created_today: int
    closed_today: int
    median_hours_to_close: float | None
    newest: list[TicketOut]
    daily: list[DayOut]


class DashboardResponse(Struct):
    """The figures.

    Attributes:
        dashboard: Of the company, or of one project.
    """

    dashboard: DashboardOut


class UserActivityOut(Struct, rename="camel"):
    """The activity of a user.

    Attributes:
        id: The user's id.
        username: Their user name.
        name: Their display name, else their user name.
        created: Tickets that they created in the period.
        closed: Tickets that they closed in the period.
        commented: Comments that they wrote in the period.
        open_assigned: Open tickets that are assigned to them now.
    """

    id: UUID
    username: str
    name: str
    created: int
    closed: int
    commented: int
    open_assigned: int


class UserActivityList(Struct):
    """A page of users.

    Attributes:
        users: Ordered by name.
        pagination: The page's position in the list.
    """

    users: list[UserActivityOut]
    pagination: PageOut


class ReportController(Controller):
    path = "/api/v1/reports"
    tags = ("Reports",)

    @get("/dashboard")
    @Route(
        access=tenant_users(MEMBERS), loads=require_tenant_member, query=ReportQuery, media_types=MEDIA_TYPES
    )
    async def get_ticket_dashboard(
        self, request: ApiRequest, tenant: Tenant, query: ReportQuery
    ) -> Response[DashboardResponse]:
        """Show the company's dashboard; as CSV, its daily statistics."""
        async with request.platform.database.reading() as reader:
            found = await get_dashboard(reader, tenant, scope=query.scope())
        shown = _dashboard_of(found)
        return _response(request, DashboardResponse(shown), rows=shown.daily, of=DayOut, name="daily")

    @get("/tickets-by-status")
    @Route(
        access=tenant_users(MEMBERS), loads=require_tenant_member, query=ReportQuery, media_types=MEDIA_TYPES
    )
    async def count_by_status(
        self, request: ApiRequest, tenant: Tenant, query: ReportQuery
    ) -> Response[ByStatus]:
        """Count tickets by status: all, or those created in the period."""
        found = (await ticket_counts(request.platform.database, tenant, query.scope())).by_status
        rows = all_written_as(StatusCountOut, found)
        shown = ByStatus(rows, _sum(rows))
        return _response(request, shown, rows=rows, of=StatusCountOut, name="tickets-by-status")

    @get("/tickets-by-priority")
    @Route(
        access=tenant_users(MEMBERS), loads=require_tenant_member, query=ReportQuery, media_types=MEDIA_TYPES
    )
    async def count_by_priority(
        self, request: ApiRequest, tenant: Tenant, query: ReportQuery
    ) -> Response[ByPriority]:
        """Count tickets by priority: all, or those created in the period."""
        found = (await ticket_counts(request.platform.database, tenant, query.scope())).by_priority
        rows = all_written_as(PriorityCountOut, found)
        shown = ByPriority(rows, _sum(rows))
        return _response(request, shown, rows=rows, of=PriorityCountOut, name="tickets-by-priority")

    @get("/tickets-by-department")
    @Route(
        access=tenant_users(MEMBERS), loads=require_tenant_member, query=ReportQuery, media_types=MEDIA_TYPES
    )
    async def count_by_department(
        self, request: ApiRequest, tenant: Tenant, query: ReportQuery
    ) -> Response[ByDepartment]:
        """Count tickets by department: all, or those created in the period."""
        found = await ticket_counts(request.platform.database, tenant, query.scope())
        rows = all_written_as(DepartmentCountOut, found.by_department)
        shown = ByDepartment(rows, _sum(all_written_as(PriorityCountOut, found.by_priority)))
        return _response(request, shown, rows=rows, of=DepartmentCountOut, name="tickets-by-department")

    @get("/user-activity")
    @Route(
        access=tenant_users(MEMBERS),
        loads=require_tenant_member,
        query=ActivityQuery,
        media_types=MEDIA_TYPES,
    )
    async def list_user_activity(
        self, request: ApiRequest, tenant: Tenant, query: ActivityQuery
    ) -> Response[UserActivityList]:
        """List what the company's users have done in the period."""
        scope = bounded(query.scope(), today=datetime.now(UTC).date())
        async with request.platform.database.reading() as reader:
            found, total = await user_activity(reader, tenant, scope, page=query)
        rows = all_written_as(UserActivityOut, found)
        shown = UserActivityList(rows, written_as(PageOut, Pagination.of(query, total)))
        return _response(request, shown, rows=rows, of=UserActivityOut, name="user-activity")


def _sum(rows: Iterable[StatusCountOut | PriorityCountOut]) -> int:
    return sum(row.count for row in rows)


def _dashboard_of(found: TicketDashboard) -> DashboardOut:
    counts = found.counts
    by_category = {"todo": 0, "doing": 0, "done": 0}
    for row in counts.by_status:
        by_category[row.category] += row.count
    return DashboardOut(
        totals=Totals(sum(by_category.values()), **by_category),
        by_status=all_written_as(StatusCountOut, counts.by_status),
        by_priority=all_written_as(PriorityCountOut, counts.by_priority),
        by_department=all_written_as(DepartmentCountOut, counts.by_department),
        created_today=found.flow.created_today,
        closed_today=found.flow.closed_today,
        median_hours_to_close=found.flow.median_hours_to_close,
        newest=all_written_as(TicketOut, found.newest),
        daily=[written_as(DayOut, day) for day in found.daily],
    )


def _response(
    request: ApiRequest, content: T, *, rows: Sequence[Struct], of: type[Struct], name: str
) -> Response[T]:
    """JSON, or CSV where the `Accept` header prefers it."""
    accept = Accept(request.headers.get("accept", JSON))
    if accept.best_match([JSON, MEDIA_TYPE], default=JSON) != MEDIA_TYPE:
        return json_response(content, headers={"Vary": "Accept"})
    header = of.__struct_encode_fields__
    table = to_csv(header, ([getattr(row, field) for field in of.__struct_fields__] for row in rows))
    headers: dict[str, Any] = {
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Vary": "Accept",
    }
    return Response(table, headers=headers, media_type=MEDIA_TYPE)  # type: ignore[arg-type]
