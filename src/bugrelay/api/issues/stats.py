"""`/api/v1/stats`: a company's figures, in the words of the issue API."""

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
    """Which issues, and which days.

    Attributes:
        project_id: Only tickets of this project.
        first: The first day of `daily` and the median, in UTC; thirty days up to the last, where nothing is said.
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
        assignee_id: Who works on it, the first of them; null while nobody does.
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
    """A company's issues in figures.

    Attributes:
        total_issues: All issues.
        by_status: How many have a status; one that none has is left out.
        by_severity: How many have a severity.
        by_department: How many are for a department; null for those without one.
        created_today: Issues created since midnight, UTC.
        closed_today: Issues that became done since then, and still are.
        median_hours_to_close: Of the thousand issues closed last in the days asked for; null without any.
        newest: The ten newest.
        daily: A row for each day that was counted; every thirty minutes they are.
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
    """The figures.

    Attributes:
        stats: Of the company's issues.
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
        """Show the figures of the company's issues."""
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
