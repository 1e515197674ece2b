"""Events as a tenant's users are told them, for those who pull and those who are pushed to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.live import repository
from bugrelay.domain.live.errors import CursorExpired
from bugrelay.domain.live.policies import Surroundings, tenant_event, told_as
from bugrelay.domain.live.schemas import EventsPage, LiveEvent, LoggedEvent, Wanted
from bugrelay.domain.tickets.repository.sights import open_projects, ticket_sights
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.infra.db.query import Reader

TOLD_FOR = timedelta(days=30)


async def pull(reader: Reader, tenant: Tenant, *, since: int, limit: int, wanted: Wanted) -> EventsPage:
    """The next events of a tenant that its user is told.

    Raises:
        CursorExpired: The first of those events is older than 30 days, or the log has no such number yet.
    """
    head = await repository.head_of(reader, tenant.company_id)
    if await is_expired(reader, tenant, since=since, head=head):
        raise CursorExpired(facts={"head": head})
    found, read_to = await repository.page_of_events(
        reader, tenant.company_id, since=since, head=head, wanted=wanted, limit=limit
    )
    around = Surroundings() if sees_all(tenant) else await surroundings(reader, found)
    told = [_told(event, tenant, around=around, wanted=wanted) for event in found]
    return EventsPage([event for event in told if event is not None], next=read_to, head=head)


async def is_expired(reader: Reader, tenant: Tenant, *, since: int, head: int) -> bool:
    """Whether what comes after a number is told no more. One beyond the newest is of a log that was lost: what came
    after it there is not known, either."""
    if since >= head:
        return since > head
    return await repository.is_older(reader, tenant.company_id, since + 1, than=TOLD_FOR)


async def surroundings(reader: Reader, events: Sequence[LoggedEvent]) -> Surroundings:
    """What decides which reporters are told of these events, of one stream."""
    ticket_ids = {event.ticket_id for event in events if event.ticket_id is not None}
    left = {project for event in events for project in event.left_projects}
    if not ticket_ids:
        return Surroundings()
    company_id = events[0].stream
    sights = await ticket_sights(reader, company_id, ticket_ids)
    still_open = await open_projects(reader, company_id, left) if left else ()
    return Surroundings({sight.ticket_id: sight for sight in sights}, frozenset(still_open))


def _told(event: LoggedEvent, tenant: Tenant, *, around: Surroundings, wanted: Wanted) -> LiveEvent | None:
    what = told_as(event, role=tenant.role, user_id=tenant.user_id, around=around)
    told = None if what is None else tenant_event(event, what)
    return told if told is not None and wanted.has(event, told.type) else None
