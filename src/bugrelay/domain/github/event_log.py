"""Events of the log about GitHub (docs/events.md)."""

from __future__ import annotations

from collections.abc import Iterable

from bugrelay.domain.events.schemas import LogEntry, LogTable
from bugrelay.domain.github.events import TicketSynced


def _synced(fact: TicketSynced) -> Iterable[LogEntry]:
    yield LogEntry(
        stream=fact.company_id,
        type="ticket.synced",
        ticket_id=fact.ticket_id,
        project_id=fact.project_id,
        version=fact.version,
        visibility="tenant",
        data={"outcome": fact.outcome, "number": fact.number},
    )


ENTRIES: LogTable = {TicketSynced: _synced}
