"""Which events of the log the facts of tickets and projects become (docs/events.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol
from uuid import UUID

from bugrelay.domain.events.schemas import LogEntry, LogTable, Visibility
from bugrelay.domain.tickets import events
from bugrelay.domain.tickets.changes import INTERNAL_FIELDS, FieldChange


class _OnTicket(Protocol):
    """A fact about one ticket."""

    @property
    def ticket_id(self) -> UUID: ...
    @property
    def project_id(self) -> UUID: ...
    @property
    def company_id(self) -> UUID: ...
    @property
    def version(self) -> int: ...
    @property
    def actor_id(self) -> UUID | None: ...


def _entry(kind: str, fact: _OnTicket, /, *, visibility: Visibility = "tenant", **data: Any) -> LogEntry:
    return LogEntry(
        stream=fact.company_id,
        type=kind,
        actor_id=fact.actor_id,
        ticket_id=fact.ticket_id,
        project_id=fact.project_id,
        version=fact.version,
        visibility=visibility,
        data=data,
    )


def _created(fact: events.TicketCreated) -> Iterable[LogEntry]:
    yield _entry(
        "ticket.created",
        fact,
        key=fact.key,
        kind=fact.kind,
        status=fact.status,
        category=fact.category,
        priority=fact.priority,
    )


def _edited(fact: events.TicketEdited) -> Iterable[LogEntry]:
    """One event for what reporters may see, another for internal fields."""
    kinds: tuple[Visibility, ...] = ("tenant", "internal")
    for visibility in kinds:
        changes = [
            _change(change)
            for change in fact.changes
            if (change.field in INTERNAL_FIELDS) == (visibility == "internal")
        ]
        if changes:
            yield _entry("ticket.changed", fact, visibility=visibility, changes=changes)


def _change(change: FieldChange) -> dict[str, Any]:
    if change.is_long:
        return {"field": change.field, "is_long": True}
    return {"field": change.field, "from": change.old, "to": change.new}


def _status_changed(fact: events.TicketStatusChanged) -> Iterable[LogEntry]:
    moved: dict[str, Any] = {"from": fact.old, "to": fact.new}
    yield _entry("ticket.status_changed", fact, category=fact.category, **moved)


def _commented(fact: events.TicketCommented) -> Iterable[LogEntry]:
    visibility: Visibility = "internal" if fact.is_internal else "tenant"
    yield _entry(
        "ticket.commented", fact, visibility=visibility, comment_id=fact.comment_id, action=fact.action
    )


def _text_blanked(fact: events.TicketTextBlanked) -> Iterable[LogEntry]:
    visibility: Visibility = "internal" if fact.field in INTERNAL_FIELDS else "tenant"
    yield _entry(
        "ticket.text_blanked",
        fact,
        visibility=visibility,
        field=fact.field,
        edited_version=fact.edited_version,
    )


def _project_changed(fact: events.ProjectChanged) -> Iterable[LogEntry]:
    yield LogEntry(
        stream=fact.company_id,
        type="project.changed",
        actor_id=fact.actor_id,
        project_id=fact.project_id,
        version=fact.version,
        visibility="tenant",
        data={"action": fact.action, "fields": fact.fields},
    )


def _file_added(fact: events.TicketFileAdded) -> Iterable[LogEntry]:
    yield _entry(
        "ticket.file_added",
        fact,
        attachment_id=fact.attachment_id,
        filename=fact.filename,
        content_type=fact.mime_type,
        size=fact.size_bytes,
    )


ENTRIES: LogTable = {
    events.ProjectChanged: _project_changed,
    events.TicketCreated: _created,
    events.TicketEdited: _edited,
    events.TicketStatusChanged: _status_changed,
    events.TicketCommented: _commented,
    events.TicketRemoved: lambda fact: (_entry("ticket.removed", fact),),
    events.TicketRestored: lambda fact: (_entry("ticket.restored", fact),),
    events.TicketTextBlanked: _text_blanked,
    events.TicketFileAdded: _file_added,
    events.TicketFileRemoved: lambda fact: (
        _entry("ticket.file_removed", fact, attachment_id=fact.attachment_id, filename=fact.filename),
    ),
}
