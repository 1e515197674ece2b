"""Who is told of which event, and as what; pure functions of the facts.

Members and admins are told all of their company's stream. Reporters are told what everybody may know of the board, and
events of tickets that they see, without internal ones. What everybody may know leaves out what lies before the removal
of a bug that is not on the board now.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from bugrelay.domain.companies.models import REPORTER
from bugrelay.domain.live.schemas import BoardEvent, LiveActor, LiveEvent, LiveTicket, LoggedEvent
from bugrelay.domain.tickets.visibility import TicketSight

AsWhat = Literal["itself", "removal"]
REMOVED = "ticket.removed"


@dataclass(frozen=True)
class Surroundings:
    """What decides whether a reporter sees the tickets of some events.

    Attributes:
        tickets: The tickets, by their ids.
        open_projects: Those of the projects that tickets have left that all of the company see.
    """

    tickets: Mapping[UUID, TicketSight] = field(default_factory=dict)
    open_projects: Set[UUID] = frozenset()


def told_as(event: LoggedEvent, *, role: str, user_id: UUID, around: Surroundings) -> AsWhat | None:
    """What a tenant's user is told of an event; None: nothing."""
    if event.is_recorded_later:
        return None
    if role != REPORTER or is_public(event):
        return "itself"
    if event.visibility != "tenant":
        return None
    if event.ticket_id is None:
        return "itself" if _opens_or_closes_project(event) else None
    return _ticket_told_as(event, around.tickets.get(event.ticket_id), user_id=user_id, around=around)


def _ticket_told_as(
    event: LoggedEvent, ticket: TicketSight | None, *, user_id: UUID, around: Surroundings
) -> AsWhat | None:
    """What a reporter is told of an event of a ticket."""
    if ticket is not None and ticket.is_seen_by(user_id):
        return "itself"
    if ticket is not None and _takes_away(event, ticket, user_id=user_id, around=around):
        return "removal"
    return None


def is_public(event: LoggedEvent) -> bool:
    """Whether everybody may know of it."""
    is_shown = not event.is_bug_removed or event.type == "bug.removed"
    return event.visibility == "public" and is_shown and not event.is_recorded_later


def _takes_away(event: LoggedEvent, ticket: TicketSight, *, user_id: UUID, around: Surroundings) -> bool:
    """Whether a reporter who does not see the ticket now saw it until this event."""
    if event.type == REMOVED:
        return ticket.would_be_seen_by(user_id)
    if ticket.is_removed:
        return False  # its removal tells it
    was_assigned = any(
        str(user_id) in (change.get("from") or ()) for change in event.changes_of("assignee_ids")
    )
    return was_assigned or any(project in around.open_projects for project in event.left_projects)


def _opens_or_closes_project(event: LoggedEvent) -> bool:
    """Whether tickets of a project came into the sight of reporters, or left it: all of them at once."""
    return event.type == "project.changed" and "visibility" in (event.data.get("fields") or ())


def tenant_event(event: LoggedEvent, what: AsWhat) -> LiveEvent:
    """The event as a tenant's user is told it."""
    is_itself = what == "itself"
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
    """The event of a bug as everybody is told it."""
    return BoardEvent(event.event_id, event.type, event.at, _actor(event), bug_id, event.data)


def _actor(event: LoggedEvent) -> LiveActor | None:
    """Who removed and restored something on the board is for the audit log to tell."""
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
