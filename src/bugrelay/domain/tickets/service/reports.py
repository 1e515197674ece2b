"""Statistics for the members and admins of a company."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from msgspec.structs import replace

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.repository import reports
from bugrelay.domain.tickets.schemas import ReportScope, TicketDashboard
from bugrelay.errors import ValidationFailed
from bugrelay.infra.db.query import Reader

DAYS_SHOWN = 30
MAX_DAYS = 366


def bounded(scope: ReportScope, *, today: date) -> ReportScope:
    """The scope with a first and a last day; by default thirty days up to the last one.

    Raises:
        ValidationFailed: There are too many days, or they are in the wrong order.
    """
    last = scope.last_day or today
    first = scope.first_day or last - timedelta(DAYS_SHOWN - 1)
    if not timedelta(0) <= last - first < timedelta(MAX_DAYS):
        raise ValidationFailed.of("from", f"must be at most {MAX_DAYS} days before `to`, and not after it")
    return replace(scope, first_day=first, last_day=last)


async def get_dashboard(reader: Reader, tenant: Tenant, *, scope: ReportScope) -> TicketDashboard:
    """Raises:
    ValidationFailed: The scope has too many days, or they are in the wrong order.
    """
    today = datetime.now(UTC).date()
    days = bounded(scope, today=today)
    by_now = replace(scope, first_day=None, last_day=None)
    return TicketDashboard(
        counts=await reports.ticket_counts(reader, tenant, by_now),
        flow=await reports.ticket_flow(reader, tenant, days, today=today),
        newest=await reports.newest_tickets(reader, tenant, by_now),
        daily=list(await reports.daily_stats(reader, tenant, days)),
    )
