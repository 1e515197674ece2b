"""Pages of a tenant's events, as one of its users may see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.live import repository
from bugrelay.domain.live.errors import CursorExpired
from bugrelay.domain.live.policies import VisibilityContext, tenant_event, visible_as
from bugrelay.domain.live.schemas import EventFilter, EventsPage, LiveEvent, LoggedEvent
from bugrelay.domain.tickets.repository.sights import open_projects, ticket_sights
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.infra.db.query import Reader

RETENTION = timedelta(days=30)


async def read_page(
    reader: Reader, tenant: Tenant, *, since: int, limit: int, event_filter: EventFilter
) -> EventsPage:
    """The next events of a tenant that its user may see.

    Raises:
        CursorExpired: The first of those events is older than `RETENTION`, or the log has no such number yet.
    """
    head = await repository.head_of(reader, tenant.company_id)
    if await is_expired(reader, tenant, since=since, head=head):
        raise CursorExpired(facts={"head": head})
    found, read_to = await repository.page_of_events(
        reader, tenant.company_id, since=since, head=head, event_filter=event_filter, limit=limit
    )
    context = VisibilityContext() if sees_all(tenant) else await visibility_context(reader, found)
    visible = [_visible_event(event, tenant, context=context, event_filter=event_filter) for event in found]
    return EventsPage([event for event in visible if event is not None], next=read_to, head=head)


async def is_expired(reader: Reader, tenant: Tenant, *, since: int, head: int) -> bool:
    """Whether events after a number are unavailable: too old, or lost with a restore, where the number is beyond the
    newest."""
    if since >= head:
        return since > head
    return await repository.is_older(reader, tenant.company_id, since + 1, than=RETENTION)


async def visibility_context(reader: Reader, events: Sequence[LoggedEvent]) -> VisibilityContext:
    """The context of these events, which must be of one stream."""
    ticket_ids = {event.ticket_id for event in events if event.ticket_id is not None}
    left = {project for event in events for project in event.left_projects}
    if not ticket_ids:
        return VisibilityContext()
    company_id = events[0].stream
    sights = await ticket_sights(reader, company_id, ticket_ids)
    still_open = await open_projects(reader, company_id, left) if left else ()
    return VisibilityContext({sight.ticket_id: sight for sight in sights}, frozenset(still_open))


def _visible_event(
    event: LoggedEvent, tenant: Tenant, *, context: VisibilityContext, event_filter: EventFilter
) -> LiveEvent | None:
    form = visible_as(event, role=tenant.role, user_id=tenant.user_id, context=context)
    visible = None if form is None else tenant_event(event, form)
    return visible if visible is not None and event_filter.matches(event, visible.type) else None
