"""Events as they are written and read, and the names of streams and events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from bugrelay.infra.db.query import Row

Visibility = Literal["public", "tenant", "internal"]

MAX_CHAIN = 32  # entries of a cause's chain

SHARED_STREAMS = tuple(UUID(f"00000000-0000-8000-8000-00000000000{share:x}") for share in range(16))
"""Those of bugs without a company, by the last digit of a bug's id: 16, so that their writers seldom wait."""


def stream_of(*, company_id: UUID | None, bug_id: UUID) -> UUID:
    """The stream that a bug's events go to while it is assigned to this company."""
    return company_id or SHARED_STREAMS[bug_id.int % len(SHARED_STREAMS)]


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """What becomes an event when its transaction is committed.

    Attributes:
        stream: See `stream_of`.
        type: Of docs/events.md.
        version: The ticket's, with the change.
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
"""For each type of fact that the log tells of, what one of it becomes: a table in the `event_log.py` of a domain."""


class Event(Row):
    """One row of the log.

    Attributes:
        stream: A company's id, or one of `SHARED_STREAMS`.
        seq: Dense in its stream, in the order of the COMMITs.
        at: Never runs back in a stream, but for what was recorded later than it happened.
        version: The ticket's, with the change; None for bugs, which have none.
        visibility: Who may see it: everybody, the company's members, or those of them who see internal texts.
        data: Ids, names of fields, and values of up to 255 characters.
        cause: `kind` ("user", "rule", "github", "link" or "system"), and `chain`, the ids of the events it follows
            from. `recorded_later` stands there for what happened before there was a log: when it was written.
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
        """It happened before there was a log: nobody is told of it any more."""
        return "recorded_later" in self.cause


def event_id(event: Event) -> str:
    """The event's name in the world outside, the same for ever."""
    return f"evt_{event.stream}_{event.seq}"


def chain_after(event: Event, *more: str) -> tuple[str, ...]:
    """The chain of what follows from an event: its own, the event itself, and what acted on it, `MAX_CHAIN` at most.

    Whoever acts on events ends a chain long before that; of a longer one the oldest are left out.
    """
    return (*event.cause["chain"], event_id(event), *more)[-MAX_CHAIN:]
