"""The consumer `github`: events become pushes, one for each ticket."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, func, literal, null, select
from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.events.schemas import Event
from bugrelay.domain.github import repository
from bugrelay.domain.github.errors import GitHubNotConnected, GitHubSwitchedOff
from bugrelay.domain.github.models import ENDED, OUT, PENDING, GitHubComment, GitHubIssue, GitHubPush
from bugrelay.domain.github.repository import ReferencedTicket
from bugrelay.domain.github.schemas import ConnectionRow
from bugrelay.domain.tickets.models import TicketComment
from bugrelay.infra.db.unit_of_work import UnitOfWork

CREATED, RESTORED, MOVED, COMMENTED = (
    "ticket.created",
    "ticket.restored",
    "ticket.status_changed",
    "ticket.commented",
)
FOLLOWED = frozenset((CREATED, RESTORED, MOVED, COMMENTED))


async def queue_pushes(work: UnitOfWork, events: Sequence[Event]) -> None:
    """Queue pushes for events of one stream that happened after the connection was created.

    While the connection is switched off because GitHub refuses the token, pushes are queued; while an admin has
    disabled it, they are not.
    """
    followed = [event for event in events if event.type in FOLLOWED and event.ticket_id is not None]
    connection = await repository.connection_of(work, events[0].stream) if followed else None
    if connection is None or not (connection.enabled or connection.switched_off_reason is not None):
        return
    ids = list(dict.fromkeys(event.ticket_id for event in followed if event.ticket_id is not None))
    tickets = await repository.referenced_tickets(work, connection.company_id, ids)
    for event in followed:
        ticket = tickets.get(event.ticket_id) if event.ticket_id is not None else None
        if ticket is not None and event.at >= connection.created_at:
            await _queue(work, connection, ticket, event)


async def _queue(work: UnitOfWork, connection: ConnectionRow, ticket: ReferencedTicket, event: Event) -> None:
    if event.type == CREATED:
        if ticket.scheme in connection.schemes:
            await queue_push(work, connection, ticket.id, may_create=True)
            ticket.is_known = True  # later events of this batch refer to the queued issue
    elif ticket.is_known:
        if event.type == COMMENTED and not await _queue_comment(work, connection, event):
            return
        await queue_push(work, connection, ticket.id, may_create=False)


async def queue_push(
    work: UnitOfWork, connection: ConnectionRow, ticket_id: UUID, *, may_create: bool
) -> None:
    """Queue a push; a failed one is retried with all its attempts."""
    wanted = insert(GitHubPush).values(
        company_id=connection.company_id,
        ticket_id=ticket_id,
        connection_id=connection.id,
        may_create=may_create,
    )
    again = {
        "connection_id": connection.id,
        "state": PENDING,
        "error": null(),
        "may_create": GitHubPush.may_create | wanted.excluded.may_create,
        "revision": GitHubPush.revision + 1,
        "attempts": 0,
        "failing_since": null(),
        "next_at": func.now(),
    }
    keys = [GitHubPush.company_id, GitHubPush.ticket_id]
    await work.session.execute(wanted.on_conflict_do_update(index_elements=keys, set_=again))


async def _queue_comment(work: UnitOfWork, connection: ConnectionRow, event: Event) -> bool:
    """Queue the event's comment, unless it is internal, queued already, or from GitHub; returns whether it was
    queued."""
    is_sent = connection.comments_out and event.visibility != "internal"
    if not is_sent or event.data.get("action") != "created":
        return False
    # Selected from its row, since it may have been erased meanwhile.
    there = select(
        TicketComment.company_id,
        TicketComment.id,
        TicketComment.ticket_id,
        literal(OUT),
        literal(PENDING),
    ).where(
        TicketComment.company_id == connection.company_id,
        TicketComment.id == UUID(event.data["comment_id"]),
        TicketComment.is_internal.is_(False),
    )
    columns = ["company_id", "comment_id", "ticket_id", "direction", "state"]
    queued = (
        insert(GitHubComment)
        .from_select(columns, there)
        .on_conflict_do_nothing()
        .returning(GitHubComment.comment_id)
    )
    return (await work.session.execute(queued)).first() is not None


async def request_push(work: UnitOfWork, tenant: Tenant, ticket_id: UUID) -> None:
    """Send a ticket to GitHub on request of a member: again after a failure, or for the first time. An issue that was
    deleted or transferred is replaced by a new one.

    Raises:
        GitHubNotConnected, GitHubSwitchedOff
    """
    connection = await repository.lock_connection(work, tenant.company_id)
    if connection is None:
        raise GitHubNotConnected
    if not connection.enabled:
        raise GitHubSwitchedOff
    await work.session.execute(
        delete(GitHubIssue)
        .where(
            GitHubIssue.company_id == tenant.company_id,
            GitHubIssue.ticket_id == ticket_id,
            GitHubIssue.repository_id == connection.repository_id,
            GitHubIssue.state == ENDED,
        )
        .execution_options(synchronize_session=False)
    )
    await queue_push(work, connection, ticket_id, may_create=True)
