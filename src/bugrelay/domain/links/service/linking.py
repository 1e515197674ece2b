"""Link tickets to existing public bugs, and unlink them."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import delete, insert, update

from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.links import repository
from bugrelay.domain.links.errors import AlreadyLinked, LinkNotFound, TooManyLinks
from bugrelay.domain.links.events import Kind, TicketLinked, TicketUnlinked
from bugrelay.domain.links.models import TicketLink
from bugrelay.domain.tickets import policies
from bugrelay.domain.tickets.service.acting import lock_member
from bugrelay.domain.tickets.service.locking import lock_ticket
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.unit_of_work import UnitOfWork

MAX_BUGS: Final = 20  # of a ticket
MAX_TICKETS: Final = 100  # of a bug, in one company: each gets comments about the bug


def require_team(tenant: Tenant) -> None:
    """
    Raises:
        InsufficientPermissions: The user is a reporter, not on the team.
    """
    if not policies.may_triage(tenant):
        raise InsufficientPermissions("Only the company's members may do this")


async def link_ticket(
    work: UnitOfWork, tenant: Tenant, ticket_id: UUID, *, bug_id: UUID, carry_status: bool
) -> None:
    """Link a ticket to a bug, or change whether an existing link carries the status.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, TicketNotFound, BugNotFound, TooManyLinks
        AlreadyLinked: The link exists with the same values.
        InsufficientPermissions: The user is not on the team, or carries the status to a bug of another company.
    """
    require_team(tenant)
    await lock_member(work, tenant)
    bug = await repository.lock_survivor(work, bug_id)
    if bug is None:
        raise BugNotFound
    if carry_status and bug.assigned_company_id != tenant.company_id:
        raise InsufficientPermissions("The status goes only to bugs of your company's applications")
    ticket = await lock_ticket(work, tenant, ticket_id)
    links = await repository.links_of(work, company_id=tenant.company_id, ticket_id=ticket_id)
    same = [link for link in links if link.survivor_id == bug.id]
    if any(link.carry_status == carry_status for link in same):
        raise AlreadyLinked
    kind: Kind = "linked"
    if same:
        await _set_carry_status(work, tenant, ticket_id, [link.bug_id for link in same], carry_status)
        kind = same[0].kind
    else:
        await _check_room(work, tenant, len(links), bug.id)
        await add_link(work, tenant, ticket_id, bug_id=bug.id, kind=kind, carry_status=carry_status)
    record_linked(
        work,
        tenant,
        ticket_id,
        project_id=ticket.project_id,
        version=ticket.version,
        bug_id=bug.id,
        kind=kind,
        carry_status=carry_status,
    )


async def _check_room(work: UnitOfWork, tenant: Tenant, of_ticket: int, bug_id: UUID) -> None:
    """
    Raises:
        TooManyLinks
    """
    if of_ticket >= MAX_BUGS:
        raise TooManyLinks(f"A ticket can be linked to at most {MAX_BUGS} bugs")
    if await repository.count_tickets_of(work, bug_id, company_id=tenant.company_id) >= MAX_TICKETS:
        raise TooManyLinks(f"A bug can be linked to at most {MAX_TICKETS} tickets of a company")


async def _set_carry_status(
    work: UnitOfWork, tenant: Tenant, ticket_id: UUID, bug_ids: list[UUID], carry_status: bool
) -> None:
    await work.session.execute(
        update(TicketLink)
        .where(
            TicketLink.company_id == tenant.company_id,
            TicketLink.ticket_id == ticket_id,
            TicketLink.bug_id.in_(bug_ids),
        )
        .values(carry_status=carry_status)
        .execution_options(synchronize_session=False)
    )


async def add_link(
    work: UnitOfWork, tenant: Tenant, ticket_id: UUID, *, bug_id: UUID, kind: Kind, carry_status: bool
) -> None:
    """Insert the link of a ticket that is locked in this unit of work."""
    await work.session.execute(
        insert(TicketLink).values(
            company_id=tenant.company_id,
            ticket_id=ticket_id,
            bug_id=bug_id,
            kind=kind,
            carry_status=carry_status,
        )
    )


def record_linked(
    work: UnitOfWork,
    tenant: Tenant,
    ticket_id: UUID,
    *,
    project_id: UUID,
    version: int,
    bug_id: UUID,
    kind: Kind,
    carry_status: bool,
) -> None:
    work.record(
        TicketLinked(
            ticket_id=ticket_id,
            company_id=tenant.company_id,
            project_id=project_id,
            bug_id=bug_id,
            kind=kind,
            carry_status=carry_status,
            version=version,
            actor_id=tenant.actor_id,
        )
    )


async def unlink_ticket(work: UnitOfWork, tenant: Tenant, ticket_id: UUID, *, bug_id: UUID) -> None:
    """Remove a link, also to a bug that was removed or merged since.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions, TicketNotFound, LinkNotFound
    """
    require_team(tenant)
    ticket = await lock_ticket(work, tenant, ticket_id)
    links = await repository.links_of(work, company_id=tenant.company_id, ticket_id=ticket_id)
    meant = [link.bug_id for link in links if bug_id in (link.bug_id, link.survivor_id)]
    if not meant:
        raise LinkNotFound
    await work.session.execute(
        delete(TicketLink)
        .where(
            TicketLink.company_id == tenant.company_id,
            TicketLink.ticket_id == ticket_id,
            TicketLink.bug_id.in_(meant),
        )
        .execution_options(synchronize_session=False)
    )
    work.record(
        TicketUnlinked(
            ticket_id=ticket_id,
            company_id=tenant.company_id,
            project_id=ticket.project_id,
            bug_id=bug_id,
            version=ticket.version,
            actor_id=tenant.actor_id,
        )
    )
