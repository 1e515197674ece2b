"""The audit log: one row for each act, written in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar
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


class CompanyAct(Protocol):
    """A fact about a thing of a company; `actor_id` is None for the system."""

    @property
    def company_id(self) -> UUID: ...
    @property
    def actor_id(self) -> UUID | None: ...


ActT = TypeVar("ActT", bound=CompanyAct)
Change: TypeAlias = tuple[dict[str, Any] | None, dict[str, Any] | None]
"""What an act changed, as it was and as it is now; None where the thing was not there or is gone."""


async def audit_company_acts(
    session: AsyncSession,
    acts: Sequence[ActT],
    *,
    actions: Mapping[type[ActT], Action],
    resource: Resource,
    id_of: Callable[[ActT], UUID],
    change_of: Callable[[ActT], Change],
) -> None:
    """A row for each act on things of companies, in the transaction of the acts.

    Args:
        session: The transaction of the acts.
        acts: What was done.
        actions: The action of each kind of act.
        resource: The kind of thing.
        id_of: Which one it is.
        change_of: What changed; the row adds the company to what is given.
    """
    for act in acts:
        company = {"company_id": act.company_id}
        before, after = change_of(act)
        await write_audit(
            session,
            act.actor_id,
            actions[type(act)],
            resource=resource,
            resource_id=id_of(act),
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
