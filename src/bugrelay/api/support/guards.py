"""Loaders of the support API, and the rate limit of reports: both before the body is read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bugrelay.api.tenant import require_tenant
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.support import policies
from bugrelay.domain.support.errors import ReportNotFound
from bugrelay.domain.support.repository import find_report
from bugrelay.domain.support.schemas import ReportDetail
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.errors import InsufficientPermissions, RateLimitExceeded
from bugrelay.http.admission import add_rate_headers
from bugrelay.http.request import ApiRequest

_NUMBER = re.compile(r"[A-Z][A-Z0-9]{1,9}(?:-[0-9]{1,10}){1,2}")


@dataclass(frozen=True)
class OnReport:
    """The report of the path, and the tenant's user, who sees it."""

    tenant: Tenant
    report: ReportDetail


async def load_report(request: ApiRequest) -> OnReport:
    """
    Raises:
        ValidationFailed, CompanyRequired, CompanyNotFound, ReportNotFound
        InsufficientPermissions: It is another reporter's.
    """
    tenant = await require_tenant(request)
    number = request.path_params["ticket_number"].upper()
    found = None
    if _NUMBER.fullmatch(number):
        found = await find_report(request.platform.database, tenant, number)
    if found is None:
        raise ReportNotFound
    if not policies.may_see_report(tenant, reporter_id=found.reporter.id):
        raise InsufficientPermissions("Only its reporter and the company's members may see a report")
    return OnReport(tenant, found)


async def require_report_member(request: ApiRequest) -> OnReport:
    """The same, for the company's members and admins.

    Raises:
        ValidationFailed, CompanyRequired, CompanyNotFound, ReportNotFound, InsufficientPermissions
    """
    found = await load_report(request)
    if not sees_all(found.tenant):
        raise InsufficientPermissions("Only the company's members may do this")
    return found


async def admit_report(request: ApiRequest) -> Tenant:
    """The tenant of a new report; charges the reporter's rate limit.

    Raises:
        ValidationFailed, CompanyRequired, CompanyNotFound, RateLimitExceeded
    """
    tenant = await require_tenant(request)
    platform = request.platform
    bucket = platform.buckets["issue_reports"]
    if bucket is None:
        return tenant
    decision = await platform.limiter.hit([(bucket, f"user:{tenant.user_id}")])
    add_rate_headers(request.scope, decision)
    if not decision.allowed:
        wait = decision.retry_after_seconds
        raise RateLimitExceeded(
            f"Too many reports; try again in {wait} s", headers={"Retry-After": str(wait)}
        )
    return tenant
