"""Facts of links between tickets and public bugs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Kind = Literal["published", "linked", "tracked"]


@dataclass(frozen=True, kw_only=True)
class TicketLinked:
    """A ticket was linked to a public bug, or its link was changed."""

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    bug_id: UUID
    kind: Kind
    carry_status: bool
    version: int
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class TicketUnlinked:
    """A link between a ticket and a bug was removed."""

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    bug_id: UUID
    version: int
    actor_id: UUID | None


CHANGES_NOTHING_PUBLIC: tuple[type, ...] = (TicketLinked, TicketUnlinked)
"""Facts that no cached response shows: links are not public."""

WRITES_NO_EVENT: tuple[type, ...] = ()
"""Facts that become no event of the log."""
