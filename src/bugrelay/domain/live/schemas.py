"""Events as listeners are told them, and what else a listener hears."""

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
    """An event with what is joined when it is read: names and keys as they are now.

    Attributes:
        is_recorded_later: It happened before there was a log, and is no news.
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
        """Its name outside (docs/events.md)."""
        return f"evt_{self.stream}_{self.seq}"

    def changes_of(self, name: str) -> list[dict[str, Any]]:
        """Of a change of a ticket, what it says of a field."""
        if self.type != "ticket.changed":
            return []
        return [change for change in self.data.get("changes") or () if change.get("field") == name]

    @property
    def left_projects(self) -> list[UUID]:
        """The project that a ticket has left with this event, if any."""
        return [UUID(str(change["from"])) for change in self.changes_of("project_id") if change.get("from")]


class LiveActor(Struct):
    """Who did it, by the name of now.

    Attributes:
        id: The user.
        username: Their user name.
        name: The name that they show.
    """

    id: UUID
    username: str
    name: str


class LiveTicket(Struct):
    """The ticket that an event is about.

    Attributes:
        id: The ticket.
        key: Its key of now.
        project_id: The project that it was in with this event.
    """

    id: UUID
    key: str | None
    project_id: UUID | None


class LiveEvent(Struct):
    """An event of a tenant, as one of its users is told it.

    Attributes:
        id: Its number in the company's stream; what is told rises, with gaps.
        type: What has happened.
        at: When.
        actor: Who did it; null for the anonymous, the clock, and what moderators do.
        ticket: The ticket that it is about; null where it is about none.
        bug_id: The bug that it is about; null where it is about none.
        version: The version of the ticket or project with the change; null of what has none.
        data: What stands in it by its type: ids, names of fields, values of up to 255 characters.
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
    """An event of the board, as everybody may know it.

    Attributes:
        id: Its name, the same for ever.
        type: What has happened.
        at: When.
        actor: Who did it; null for the anonymous, the clock, and what moderators do.
        bug_id: The bug.
        data: What stands in it by its type: ids, names of fields, values of up to 255 characters.
    """

    id: str
    type: str
    at: datetime
    actor: LiveActor | None
    bug_id: UUID
    data: dict[str, Any]


Encode = Callable[[LiveEvent | BoardEvent], bytes]
"""Writes an event as JSON; deliveries know how."""


class EventsPage(Struct):
    """A page of what a tenant's user is told.

    Attributes:
        events: In order of `id`.
        next: Where the next page begins: its `since`.
        head: The number of the newest event of the company; there is more while `next` is smaller.
    """

    events: list[LiveEvent]
    next: int
    head: int


@dataclass(frozen=True)
class Update:
    """One event for one listener.

    Attributes:
        event: What it is told.
        json: The same, written once for all listeners that are told it.
        position: To resume behind it: of a tenant the event's number, of the board a cursor.
    """

    event: LiveEvent | BoardEvent
    json: bytes
    position: str


@dataclass(frozen=True)
class Resync:
    """Too much or too old was missed: load anew what is shown. What follows comes after `head`."""

    head: str


@dataclass(frozen=True)
class Closed:
    """Nothing follows. `unauthenticated`: the session has ended; `forbidden`: banned, or no longer of the company."""

    reason: Literal["unauthenticated", "forbidden", "stopping", "closed"]


@dataclass(frozen=True)
class Wanted:
    """Which events a listener asks for; an empty set asks for all.

    Attributes:
        types: Of docs/events.md.
        projects: Events of these projects and their tickets; also of a ticket that leaves one of them.
        tickets: Events of these tickets.
    """

    types: frozenset[str] = frozenset()
    projects: frozenset[UUID] = frozenset()
    tickets: frozenset[UUID] = frozenset()

    def has(self, event: LoggedEvent, type_: str) -> bool:
        """Whether it asks for this event, told under this type."""
        return (
            (not self.types or type_ in self.types)
            and (not self.projects or not self.projects.isdisjoint([event.project_id, *event.left_projects]))
            and (not self.tickets or event.ticket_id in self.tickets)
        )


class Standing(Row):
    """What a connection may still do: `role` is None for who has no place in the company now."""

    session_id: UUID
    company_id: UUID
    is_signed_in: bool
    is_banned: bool
    role: Literal["admin", "member", "reporter"] | None
