"""Who may see a support report; pure functions."""

from __future__ import annotations

from uuid import UUID

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.visibility import sees_all


def may_see_report(tenant: Tenant, *, reporter_id: UUID) -> bool:
    """Its reporter, and the company's members and admins; not other reporters, even if they see the ticket."""
    return sees_all(tenant) or reporter_id == tenant.user_id
