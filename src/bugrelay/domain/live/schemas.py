"""Events in the forms that clients receive, and the other items of a listener's queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from bugrelay.domain.events.schemas import Visibility
from bugrelay.infra.db.query import Row


class LoggedEvent(Row):
    """An event of the log, joined with the current names and keys.

    Attributes:
        is_recorded_later: It happened before there was a log, so it is not sent.
        is_bug_removed: The bug is not on the board now.
    """

    stream: UUID
    seq: int
    type: str
    at: datetime
    actor_id: UUID | None
    username: str
    name: str
    bug_id: UUID | None
    ticket_id: UUID | None
    ticket_key: str | None
    project_id: UUID | None
    version: int | None
    visibility: Visibility
    data: dict[str, Any]
    is_recorded_later: bool
    is_bug_removed: bool

    @property
    def event_id(self) -> str:
        """Its public id (docs/events.md)."""
        return f"evt_{self.stream}_{self.seq}"

    def changes_of(self, name: str) -> list[dict[str, Any]]:
        """The changes of one field, where the event is a change of a ticket: `{"field", "from", "to"}`."""
        if self.type != "ticket.changed":
            return []
        return [change for change in self.data.get("changes") or () if change.get("field") == name]

    @property
    def left_projects(self) -> list[UUID]:
        """The project that the event moved a ticket out of, if any."""
        return [UUID(str(change["from"])) for change in self.changes_of("project_id") if change.get("from")]


class LiveActor(Struct):
    """Who did it, by their current name.

    Attributes:
        id: The user.
        username: Their user name.
        name: Their display name.
    """

    id: UUID
    username: str
    name: str


class LiveTicket(Struct):
    """The ticket that an event is about.

    Attributes:
        id: The ticket.
        key: Its current key.
        project_id: Its project at the time of the event.
    """

    id: UUID
    key: str | None
    project_id: UUID | None


class LiveEvent(Struct):
    """An event of a tenant, as one of its users receives it.

    Attributes:
        id: Its number in the company's stream; numbers rise, with gaps.
        type: What has happened.
        at: When.
        actor: Who did it; null for anonymous users, jobs, and what moderators do.
        ticket: The ticket that it is about; null where it is about none.
        bug_id: The bug that it is about; null where it is about none.
        version: The version of the ticket or project after the change; null for things without versions.
        data: Details, which depend on the type: ids, names of fields, values of up to 255 characters.
    """

    id: int
    type: str
    at: datetime
    actor: LiveActor | None
    ticket: LiveTicket | None
    bug_id: UUID | None
    version: int | None
    data: dict[str, Any]


class BoardEvent(Struct):
    """A public event of the board.

    Attributes:
        id: Its permanent id.
        type: What has happened.
        at: When.
        actor: Who did it; null for anonymous users, jobs, and what moderators do.
        bug_id: The bug.
        data: Details, which depend on the type: ids, names of fields, values of up to 255 characters.
    """

    id: str
    type: str
    at: datetime
    actor: LiveActor | None
    bug_id: UUID
    data: dict[str, Any]


Encode = Callable[[LiveEvent | BoardEvent], bytes]
"""Encodes an event as JSON; the deliveries pass it in."""


class EventsPage(Struct):
    """A page of the events that a tenant's user may see.

    Attributes:
        events: In order of `id`.
        next: The `since` of the next page.
        head: The number of the newest event of the company; there is more while `next` is smaller.
    """

    events: list[LiveEvent]
    next: int
    head: int


@dataclass(frozen=True)
class Update:
    """One event for one listener.

    Attributes:
        event: The event, in the form that the listener may see.
        json: The same, encoded once for all listeners.
        position: To resume after it: for a tenant the event's number, for the board a cursor.
    """

    event: LiveEvent | BoardEvent
    json: bytes
    position: str


@dataclass(frozen=True)
class Resync:
    """The client has missed too much, or its position is too old: it must reload its state. Events after `head`
    follow."""

    head: str


@dataclass(frozen=True)
class Closed:
    """The last item. `unauthenticated`: the session has ended; `forbidden`: banned, or no longer of the company."""

    reason: Literal["unauthenticated", "forbidden", "stopping", "closed"]


@dataclass(frozen=True)
class EventFilter:
    """Which events a listener subscribes to; an empty set matches everything.

    Attributes:
        types: Types of docs/events.md.
        projects: Events of these projects and their tickets; also of a ticket that leaves one of them.
        tickets: Events of these tickets.
    """

    types: frozenset[str] = frozenset()
    projects: frozenset[UUID] = frozenset()
    tickets: frozenset[UUID] = frozenset()

    def matches(self, event: LoggedEvent, type_: str) -> bool:
        """Whether the event matches, sent under this type."""
        return (
            (not self.types or type_ in self.types)
            and (not self.projects or not self.projects.isdisjoint([event.project_id, *event.left_projects]))
            and (not self.tickets or event.ticket_id in self.tickets)
        )


class ConnectionRights(Row):
    """The current rights of a connection; `role` is None for users who do not belong to the company now."""

    session_id: UUID
    company_id: UUID
    is_signed_in: bool
    is_banned: bool
    role: Literal["admin", "member", "reporter"] | None
