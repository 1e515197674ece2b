"""What GitHub is told of a ticket, read for it. A public repository gets neither captures nor names."""

from __future__ import annotations

from bugrelay.domain.github.issue_text import TicketText
from bugrelay.domain.github.schemas import ConnectionRow, TicketRow
from bugrelay.infra.db.query import Reader
from bugrelay.infra.text.redaction import redact_text


async def describe(
    _reader: Reader, _connection: ConnectionRow, ticket: TicketRow, is_private: bool
) -> TicketText:
    """What may be told of a ticket; in public, without the secrets that its reporter has typed."""
    told = TicketText(
        ticket_id=ticket.id,
        key=ticket.key,
        title=ticket.title,
        kind=ticket.kind,
        priority=ticket.priority,
        created_at=ticket.created_at,
        reporter=ticket.reporter,
        typed={"Description": ticket.description},
    )
    return told if is_private else _in_public(told)


def _in_public(told: TicketText) -> TicketText:
    return TicketText(
        ticket_id=told.ticket_id,
        key=told.key,
        title=redact_text(told.title)[0],
        kind=told.kind,
        priority=told.priority,
        created_at=told.created_at,
        reporter=None,
        typed={heading: redact_text(text)[0] for heading, text in told.typed.items()},
    )
