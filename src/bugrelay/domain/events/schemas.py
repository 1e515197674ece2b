"""Events as they are written and read, and the ids of streams and events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args
from uuid import UUID

from bugrelay.infra.db.query import Row

Visibility = Literal["public", "tenant", "internal"]

EventType = Literal[
    "bug.created",
    "bug.edited",
    "bug.removed",
    "bug.restored",
    "bug.merged",
    "bug.unmerged",
    "bug.voted",
    "comment.created",
    "comment.edited",
    "comment.removed",
    "response.created",
    "status.changed",
    "member.changed",
    "project.changed",
    "ticket.created",
    "ticket.changed",
    "ticket.status_changed",
    "ticket.commented",
    "ticket.removed",
    "ticket.restored",
    "ticket.text_blanked",
    "ticket.file_added",
    "ticket.file_removed",
    "ticket.linked",
    "ticket.unlinked",
    "ticket.synced",
]
EVENT_TYPES: tuple[str, ...] = get_args(EventType)
"""The types of docs/events.md."""

MAX_CHAIN = 32  # entries of a cause's chain

SHARED_STREAMS = tuple(UUID(f"00000000-0000-8000-8000-00000000000{share:x}") for share in range(16))
"""The streams of bugs without a company, by the last digit of a bug's id: 16, so that writers seldom wait."""


def stream_of(*, company_id: UUID | None, bug_id: UUID) -> UUID:
    """The stream of a bug's events while it is assigned to this company, or to none."""
    return company_id or SHARED_STREAMS[bug_id.int % len(SHARED_STREAMS)]


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """An event to write; the database adds its number and time.

    Attributes:
        stream: See `stream_of`.
        type: A type of docs/events.md.
        version: The ticket's version after the change; None for bugs.
        data: Ids, names of fields, and values of up to 255 characters; no longer text, no address, no secret.
    """

    stream: UUID
    type: str
    actor_id: UUID | None = None
    bug_id: UUID | None = None
    ticket_id: UUID | None = None
    project_id: UUID | None = None
    version: int | None = None
    visibility: Visibility = "public"
    data: Mapping[str, Any] = field(default_factory=dict)


LogTable: TypeAlias = Mapping[type, Callable[[Any], Iterable[LogEntry]]]
"""For each logged type of fact, a function that returns its entries: a table in the `event_log.py` of a domain."""


class Event(Row):
    """One row of the log.

    Attributes:
        stream: A company's id, or one of `SHARED_STREAMS`.
        seq: Dense in its stream, in the order of the COMMITs.
        at: Never runs back in a stream, except for events that were recorded later.
        version: The ticket's version after the change; None for bugs.
        visibility: Who may see it: everybody, users of the company, or only its members and admins.
        data: Ids, names of fields, and values of up to 255 characters.
        cause: `kind` ("user", "rule", "github", "link" or "system"), and `chain`, the ids of the events it follows
            from. `recorded_later`, if it happened before the log existed: when it was written.
    """

    stream: UUID
    seq: int
    type: str
    at: datetime
    actor_id: UUID | None
    bug_id: UUID | None
    ticket_id: UUID | None
    project_id: UUID | None
    version: int | None
    visibility: Visibility
    data: dict[str, Any]
    cause: dict[str, Any]

    @property
    def is_recorded_later(self) -> bool:
        """Whether it happened before it could be logged; consumers do not receive it."""
        return "recorded_later" in self.cause


def event_id(event: Event) -> str:
    """The event's id in APIs and webhooks, which never changes."""
    return f"evt_{event.stream}_{event.seq}"


def chain_after(event: Event, *more: str) -> tuple[str, ...]:
    """The chain of events that follow from an event: its own chain, its id, and the automation that acted on it.

    It has at most `MAX_CHAIN` entries, the newest. Automations stop long before that.
    """
    return (*event.cause["chain"], event_id(event), *more)[-MAX_CHAIN:]
