"""`/api/v1/reports`: a company's figures, as JSON or as CSV."""

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
    """Which tickets a report is about.

    Attributes:
        project_id: Those of this project.
        first: The first day, in UTC.
        last: The last day, in UTC; it counts as well.
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
        project_id: What was done in this project.
        first: The first day, in UTC; thirty days up to the last, where nothing is said.
        last: The last day, in UTC; it counts as well.
    """

    project_id: UUID | None = None
    first: Day | None = None
    last: Day | None = None

    def scope(self) -> ReportScope:
        return ReportScope(project_id=self.project_id, first_day=self.first, last_day=self.last)


class StatusCountOut(Struct):
    """How many tickets have a status.

    Attributes:
        status: A word of a scheme.
        category: What it means in every scheme.
        count: How many.
    """

    status: str
    category: str
    count: int


class PriorityCountOut(Struct):
    """How many tickets have a priority.

    Attributes:
        priority: The priority.
        count: How many.
    """

    priority: str
    count: int


class DepartmentCountOut(Struct):
    """How many tickets are for a department.

    Attributes:
        department: Its name; null for tickets without one.
        count: How many.
    """

    department: str | None
    count: int


class ByStatus(Struct):
    """Tickets by status, in the order of the work.

    Attributes:
        statuses: Those that tickets have.
        total: All tickets that were counted.
    """

    statuses: list[StatusCountOut]
    total: int


class ByPriority(Struct):
    """Tickets by priority.

    Attributes:
        priorities: All four, the most urgent first.
        total: All tickets that were counted.
    """

    priorities: list[PriorityCountOut]
    total: int


class ByDepartment(Struct):
    """Tickets by department.

    Attributes:
        departments: The thousand with the most tickets, those first.
        total: All tickets that were counted.
    """

    departments: list[DepartmentCountOut]
    total: int


class Totals(Struct, rename="camel"):
    """All tickets, and how far they are.

    Attributes:
        total: All of them.
        todo: Those that nobody has begun with.
        doing: Those that somebody works on.
        done: Those that are done.
    """

    total: int
    todo: int
    doing: int
    done: int


class DayOut(Struct, rename="camel"):
    """How tickets stood at the end of a UTC day; today, when they were last counted.

    Attributes:
        date: The day.
        total_issues: Tickets that there were.
        open_issues: Those in the first status of their scheme.
        triaged_issues: Others that nobody had begun with.
        in_progress_issues: Those that somebody worked on.
        done_issues: Those that were done.
        low_count: Those with the priority low.
        medium_count: Those with the priority medium.
        high_count: Those with the priority high.
        critical_count: Those with the priority critical.
        created_count: Tickets created on that day.
        resolved_count: How often a ticket became done on that day.
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
    """A company's figures.

    Attributes:
        totals: By category.
        by_status: As in `tickets-by-status`.
        by_priority: As in `tickets-by-priority`.
        by_department: As in `tickets-by-department`.
        created_today: Tickets created since midnight, UTC.
        closed_today: Tickets that became done since then, and still are.
        median_hours_to_close: Of the thousand tickets closed last in the days of the report; null without any.
        newest: The ten newest tickets.
        daily: A row for each day of the report that was counted; every thirty minutes they are.
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
    """What somebody has done.

    Attributes:
        id: The user's id.
        username: The public name.
        name: What they call themselves, else the public name.
        created: Tickets that they created in the days of the report.
        closed: Tickets that they made done in these days.
        commented: Comments that they wrote in these days.
        open_assigned: Tickets that are not done and that they are assigned to now.
    """

    id: UUID
    username: str
    name: str
    created: int
    closed: int
    commented: int
    open_assigned: int


class UserActivityList(Struct):
    """A page of people.

    Attributes:
        users: By name.
        pagination: Where the page stands.
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
        """Show the company's figures; as CSV, those of its days."""
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
        """Count tickets by status: by now, or those created in the days of the report."""
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
        """Count tickets by priority: by now, or those created in the days of the report."""
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
        """Count tickets by department: by now, or those created in the days of the report."""
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
        """List what the company's people have done in the days of the report."""
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
    """JSON, or the rows as CSV where the caller would rather have that."""
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
