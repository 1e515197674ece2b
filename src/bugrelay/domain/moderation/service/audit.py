"""The audit log: one row for each act, written in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.bugs.events import ActedAsAdmin
from bugrelay.domain.moderation.models import Action, AuditLog, Resource
from bugrelay.infra.ids import new_id
from bugrelay.infra.request_origin import origin


async def write_audit(
    session: AsyncSession,
    user_id: UUID | None,
    action: Action,
    *,
    resource: Resource,
    resource_id: UUID,
    details: str | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write one row of the log.

    Args:
        session: The transaction of the act.
        user_id: The actor; None for commands and jobs.
        action: The kind of act.
        resource: The kind of resource.
        resource_id: The id of the resource.
        details: The reason that was given.
        before: The former values of what was changed: ids, times and states, never a name or an address.
        after: The new values, under the same keys.
    """
    came_from = origin.get()
    await session.execute(
        insert(AuditLog).values(
            id=new_id(),
            action=action,
            resource=resource,
            resource_id=resource_id,
            details=details,
            before=msgspec.to_builtins(before),
            after=msgspec.to_builtins(after),
            user_id=user_id,
            ip_address=came_from.ip_address,
            user_agent=came_from.user_agent,
        )
    )


async def write_company_audit(
    session: AsyncSession,
    user_id: UUID | None,
    action: Action,
    *,
    company_id: UUID,
    resource: Resource,
    resource_id: UUID,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    """Write one row about a resource of a company, whose id is added to `before` and `after` if they are given."""
    company = {"company_id": company_id}
    await write_audit(
        session,
        user_id,
        action,
        resource=resource,
        resource_id=resource_id,
        before=None if before is None else company | before,
        after=None if after is None else company | after,
    )


async def audit_acts(session: AsyncSession, acts: Sequence[ActedAsAdmin]) -> None:
    """Write acts of admins on the board's own routes to the audit log, in their transaction."""
    for act in acts:
        await write_audit(
            session,
            act.admin_id,
            act.action,
            resource=act.resource,
            resource_id=act.resource_id,
            before=act.before,
            after=act.after,
        )
