"""What has happened between tickets and public bugs: facts in the past tense, with ids and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Kind = Literal["published", "linked", "tracked"]


@dataclass(frozen=True, kw_only=True)
class TicketLinked:
    """A ticket of the company is tied to a public bug, or otherwise than before."""

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
    """A ticket of the company is tied to this bug no more."""

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    bug_id: UUID
    version: int
    actor_id: UUID | None


CHANGES_NOTHING_PUBLIC: tuple[type, ...] = (TicketLinked, TicketUnlinked)
"""Facts that no cached response shows: the public sees no link."""

WRITES_NO_EVENT: tuple[type, ...] = ()
"""Facts that the event log does not tell of."""
