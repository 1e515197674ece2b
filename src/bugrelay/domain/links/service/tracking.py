"""Create a ticket that tracks a public bug."""

from __future__ import annotations

from uuid import UUID

from bugrelay.domain.bugs import repository as bugs
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.links import repository
from bugrelay.domain.links.errors import AlreadyLinked
from bugrelay.domain.links.models import TicketLink
from bugrelay.domain.links.service.linking import add_link, record_linked, require_team
from bugrelay.domain.tickets.schemas import NewTicket, TicketDetail
from bugrelay.domain.tickets.service.acting import lock_member
from bugrelay.domain.tickets.service.creating import create_ticket
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.unit_of_work import UnitOfWork


async def track_bug(work: UnitOfWork, tenant: Tenant, bug_id: UUID) -> TicketDetail:
    """Create a ticket with the bug's texts in the company's project of tasks; its reporter is the acting user.

    Concurrent calls for a bug are serialised by its row; the second finds the link.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, BugNotFound, ProjectArchived
        InsufficientPermissions: The user is not on the team of the company behind the bug.
        AlreadyLinked: The company has a ticket that tracks it.
    """
    require_team(tenant)
    await lock_member(work, tenant)
    state = await bugs.lock_bug(work, bug_id, before_writing=(TicketLink,))
    bug = await bugs.find_bug(work, bug_id)
    if state is None or bug is None:
        raise BugNotFound
    if state.assigned_company_id != tenant.company_id:
        raise InsufficientPermissions("Only members of the company behind the bug may track it")
    if await repository.is_tracked(work, bug_id, company_id=tenant.company_id):
        raise AlreadyLinked("A ticket tracks this bug already")
    shown = bug.bug
    wanted = NewTicket(
        title=shown.title, description=shown.description, priority=shown.priority, tags=list(shown.tags)
    )
    ticket = await create_ticket(work, tenant, wanted)
    await add_link(work, tenant, ticket.id, bug_id=bug_id, kind="tracked", carry_status=False)
    record_linked(
        work,
        tenant,
        ticket.id,
        project_id=ticket.project.id,
        version=ticket.version,
        bug_id=bug_id,
        kind="tracked",
        carry_status=False,
    )
    return ticket
