"""The issue that a path names, loaded before the body is read: missing, not seen, or no issue is 404."""

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
    """An issue of the path, and who asks: they see it."""

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
    """The same, for admins."""
    found = await load_issue(request)
    if not policies.is_admin(found.tenant):
        raise InsufficientPermissions("Only the company's admins may do this")
    return found
