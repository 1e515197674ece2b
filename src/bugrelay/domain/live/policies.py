"""Who may see which event, and in which form; pure functions.

Members and admins see their company's whole stream. Reporters see public events of the board, and events of tickets
that they see, without internal ones. Of a bug that is not on the board now, only the removal is public.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from bugrelay.domain.companies.models import REPORTER
from bugrelay.domain.live.schemas import BoardEvent, LiveActor, LiveEvent, LiveTicket, LoggedEvent
from bugrelay.domain.tickets.visibility import TicketSight

VisibleAs = Literal["itself", "removal"]
REMOVED = "ticket.removed"


@dataclass(frozen=True)
class VisibilityContext:
    """The current state that decides whether a reporter may see some events.

    Attributes:
        tickets: The events' tickets, by id.
        open_projects: Of the projects that the events moved tickets out of, those open to all reporters.
    """

    tickets: Mapping[UUID, TicketSight] = field(default_factory=dict)
    open_projects: Set[UUID] = frozenset()


def visible_as(
    event: LoggedEvent, *, role: str, user_id: UUID, context: VisibilityContext
) -> VisibleAs | None:
    """In which form a tenant's user may see an event; None: not at all."""
    if event.is_recorded_later:
        return None
    if role != REPORTER or is_public(event):
        return "itself"
    if event.visibility != "tenant":
        return None
    if event.ticket_id is None:
        return "itself" if _changes_project_visibility(event) else None
    return _ticket_event_visible_as(
        event, context.tickets.get(event.ticket_id), user_id=user_id, context=context
    )


def _ticket_event_visible_as(
    event: LoggedEvent, ticket: TicketSight | None, *, user_id: UUID, context: VisibilityContext
) -> VisibleAs | None:
    """In which form a reporter may see an event of a ticket; None: not at all."""
    if ticket is not None and ticket.is_seen_by(user_id):
        return "itself"
    if ticket is not None and _hides_ticket(event, ticket, user_id=user_id, context=context):
        return "removal"
    return None


def is_public(event: LoggedEvent) -> bool:
    """Whether everybody may see it."""
    is_shown = not event.is_bug_removed or event.type == "bug.removed"
    return event.visibility == "public" and is_shown and not event.is_recorded_later


def _hides_ticket(
    event: LoggedEvent, ticket: TicketSight, *, user_id: UUID, context: VisibilityContext
) -> bool:
    """Whether this event is what hid the ticket from a reporter."""
    if event.type == REMOVED:
        return ticket.would_be_seen_by(user_id)
    if ticket.is_removed:
        return False  # the removal is an event of its own
    was_assigned = any(
        str(user_id) in (change.get("from") or ()) for change in event.changes_of("assignee_ids")
    )
    return was_assigned or any(project in context.open_projects for project in event.left_projects)


def _changes_project_visibility(event: LoggedEvent) -> bool:
    """Whether a project was opened to reporters or closed: all of its tickets appear or disappear at once."""
    return event.type == "project.changed" and "visibility" in (event.data.get("fields") or ())


def tenant_event(event: LoggedEvent, form: VisibleAs) -> LiveEvent:
    """The event in this form, for a user of the tenant."""
    is_itself = form == "itself"
    return LiveEvent(
        id=event.seq,
        type=event.type if is_itself else REMOVED,
        at=event.at,
        actor=_actor(event) if is_itself else None,
        ticket=_ticket(event),
        bug_id=event.bug_id,
        version=event.version,
        data=event.data if is_itself else {},
    )


def board_event(event: LoggedEvent, bug_id: UUID) -> BoardEvent:
    """The event of a bug in its public form."""
    return BoardEvent(event.event_id, event.type, event.at, _actor(event), bug_id, event.data)


def _actor(event: LoggedEvent) -> LiveActor | None:
    """None for removing and restoring on the board: only the audit log says who did it."""
    moderates = event.type in ("bug.removed", "bug.restored") or not event.data.keys().isdisjoint(
        ("moderated", "restored")
    )
    if event.actor_id is None or moderates:
        return None
    return LiveActor(event.actor_id, event.username, event.name)


def _ticket(event: LoggedEvent) -> LiveTicket | None:
    if event.ticket_id is None:
        return None
    return LiveTicket(event.ticket_id, event.ticket_key, event.project_id)
