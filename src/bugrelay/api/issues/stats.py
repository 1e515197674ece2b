"""`/api/v1/stats`: statistics of a company, in the terms of the issue API."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from litestar import Controller, Response, get
from msgspec import Struct

from bugrelay.api.tenant import require_tenant_member
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.schemas import (
    Day,
    DayStats,
    DepartmentCount,
    ReportScope,
    TicketDashboard,
    TicketDetail,
)
from bugrelay.domain.tickets.service.reports import get_dashboard
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, tenant_users

SCHEME = "issues"


class IssueStatsQuery(Struct, kw_only=True, rename={"first": "from", "last": "to"}):
    """The query of statistics: which issues, and which days.

    Attributes:
        project_id: Only tickets of this project.
        first: The first day of `daily` and the median, in UTC; by default so that there are thirty days.
        last: The last day, in UTC, inclusive.
    """

    project_id: UUID | None = None
    first: Day | None = None
    last: Day | None = None

    def scope(self) -> ReportScope:
        return ReportScope(
            project_id=self.project_id, scheme=SCHEME, first_day=self.first, last_day=self.last
        )


class NewIssue(Struct, kw_only=True):
    """One of the newest issues.

    Attributes:
        id: The issue's id.
        title: A summary in one line.
        severity: The severity.
        status: The status.
        reporter_id: Who reported it.
        assignee_id: The first assignee; null if there is none.
        created_at: When it was reported.
    """

    id: UUID
    title: str
    severity: str
    status: str
    reporter_id: UUID
    assignee_id: UUID | None
    created_at: datetime


class IssueStats(Struct, kw_only=True):
    """Statistics of a company's issues.

    Attributes:
        total_issues: All issues.
        by_status: The number of issues by status, without statuses that no issue has.
        by_severity: The number of issues by severity.
        by_department: The number of issues by department; null for those without one.
        created_today: Issues created since midnight, UTC.
        closed_today: Issues that became done since then, and still are.
        median_hours_to_close: The median of the thousand issues closed last within the given days; null without any.
        newest: The ten newest.
        daily: A row for each day that was counted, which happens every thirty minutes.
    """

    total_issues: int
    by_status: dict[str, int]
    by_severity: dict[str, int]
    by_department: list[DepartmentCount]
    created_today: int
    closed_today: int
    median_hours_to_close: float | None
    newest: list[NewIssue]
    daily: list[DayStats]


class IssueStatsResponse(Struct):
    """A response with statistics.

    Attributes:
        stats: The statistics of the company's issues.
    """

    stats: IssueStats


class StatsController(Controller):
    path = "/api/v1/stats"
    tags = ("Issues",)

    @get("/dashboard")
    @Route(
        access=tenant_users("a company's members and admins"),
        loads=require_tenant_member,
        query=IssueStatsQuery,
    )
    async def get_stats_dashboard(
        self, request: ApiRequest, tenant: Tenant, query: IssueStatsQuery
    ) -> Response[IssueStatsResponse]:
        """Show statistics of the company's issues."""
        async with request.platform.database.reading() as reader:
            found = await get_dashboard(reader, tenant, scope=query.scope())
        return json_response(IssueStatsResponse(_stats_of(found)))


def _stats_of(found: TicketDashboard) -> IssueStats:
    counts = found.counts
    return IssueStats(
        total_issues=sum(row.count for row in counts.by_priority),
        by_status={row.status: row.count for row in counts.by_status},
        by_severity={row.priority.upper(): row.count for row in counts.by_priority},
        by_department=counts.by_department,
        created_today=found.flow.created_today,
        closed_today=found.flow.closed_today,
        median_hours_to_close=found.flow.median_hours_to_close,
        newest=[_new_issue(ticket) for ticket in found.newest],
        daily=found.daily,
    )


def _new_issue(ticket: TicketDetail) -> NewIssue:
    return NewIssue(
        id=ticket.id,
        title=ticket.title,
        severity=ticket.priority.upper(),
        status=ticket.status,
        reporter_id=ticket.reporter.id,
        assignee_id=ticket.assignees[0].id if ticket.assignees else None,
        created_at=ticket.created_at,
    )
