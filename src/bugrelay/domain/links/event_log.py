"""Events of the log about links (docs/events.md).

The bug is in `data` only: an event with `bug_id` would be a public event of that bug.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bugrelay.domain.events.schemas import LogEntry, LogTable
from bugrelay.domain.links import events


def _entry(name: str, fact: events.TicketLinked | events.TicketUnlinked, /, **data: Any) -> LogEntry:
    return LogEntry(
        stream=fact.company_id,
        type=name,
        actor_id=fact.actor_id,
        ticket_id=fact.ticket_id,
        project_id=fact.project_id,
        version=fact.version,
        visibility="tenant",
        data={"bug_id": fact.bug_id, **data},
    )


def _linked(fact: events.TicketLinked) -> Iterable[LogEntry]:
    yield _entry("ticket.linked", fact, kind=fact.kind, carry_status=fact.carry_status)


ENTRIES: LogTable = {
    events.TicketLinked: _linked,
    events.TicketUnlinked: lambda fact: (_entry("ticket.unlinked", fact),),
}
