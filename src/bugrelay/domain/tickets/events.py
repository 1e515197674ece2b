"""Facts of projects and tickets.

`company_id` is the company of the project or ticket, `actor_id` the user who made the change. The time of a fact is
that of its transaction. `version` is the version of the ticket or project after the change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from bugrelay.domain.tickets.changes import FieldChange

Action = Literal["created", "edited", "archived", "restored"]
CommentAction = Literal["created", "edited", "removed"]


@dataclass(frozen=True, kw_only=True)
class ProjectChanged:
    """A project was created, edited, archived or restored."""

    project_id: UUID
    company_id: UUID
    action: Action
    fields: tuple[str, ...]
    version: int
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class TicketCreated:
    """A ticket was created."""

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    key: str
    kind: str
    status: str
    category: str
    priority: str
    version: int
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class TicketEdited:
    """Fields of a ticket were changed; a move to another project changes `project_id` and `key`."""

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    changes: tuple[FieldChange, ...]
    version: int
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class TicketStatusChanged:
    """The status of a ticket was changed."""

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    old: str
    new: str
    category: str
    version: int
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class TicketCommented:
    """A comment was written, edited or withdrawn."""

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    comment_id: UUID
    action: CommentAction
    is_internal: bool
    version: int
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class TicketRemoved:
    """A ticket was removed."""

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    version: int
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class TicketRestored:
    """A removed ticket was restored."""

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    version: int
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class TicketTextBlanked:
    """A long text in a ticket's history was blanked; `edited_version` is that of the change with the text."""

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    field: str
    edited_version: int
    version: int
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class TicketFileAdded:
    """A file was added to a ticket."""

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    attachment_id: UUID
    filename: str
    mime_type: str
    size_bytes: int
    version: int
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class TicketFileRemoved:
    """A file of a ticket was deleted."""

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    attachment_id: UUID
    filename: str
    version: int
    actor_id: UUID | None


CHANGES_NOTHING_PUBLIC: tuple[type, ...] = (
    ProjectChanged,
    TicketCreated,
    TicketEdited,
    TicketStatusChanged,
    TicketCommented,
    TicketRemoved,
    TicketRestored,
    TicketTextBlanked,
    TicketFileAdded,
    TicketFileRemoved,
)
"""Facts that no cached response shows: nothing of a company's own is cached."""

WRITES_NO_EVENT: tuple[type, ...] = ()
"""Facts that do not become events of the log."""
