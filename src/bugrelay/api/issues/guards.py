"""Loaders for the issue in a path, run before the body is read: 404 if it is missing, not visible, or no issue."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from bugrelay.api.issues.words import SCHEME
from bugrelay.api.tenant import require_tenant
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets import policies
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.repository.tickets import has_ticket_of_scheme
from bugrelay.errors import InsufficientPermissions
from bugrelay.http.request import ApiRequest


@dataclass(frozen=True)
class OnIssue:
    """An issue in the path, and the caller's tenant; the caller sees the issue."""

    tenant: Tenant
    issue_id: UUID


async def load_issue(request: ApiRequest) -> OnIssue:
    """
    Raises:
        InvalidId, ValidationFailed, CompanyRequired, CompanyNotFound, TicketNotFound
    """
    issue_id = request.path_id("issue_id")
    tenant = await require_tenant(request)
    if not await has_ticket_of_scheme(request.platform.database, tenant, issue_id, scheme=SCHEME.name):
        raise TicketNotFound
    return OnIssue(tenant, issue_id)


async def require_issue_admin(request: ApiRequest) -> OnIssue:
    """The issue in the path, for admins."""
    found = await load_issue(request)
    if not policies.is_admin(found.tenant):
        raise InsufficientPermissions("Only the company's admins may do this")
    return found
