"""Blank a long text in a ticket's history; for admins."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, null, or_, update

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.errors import HistoryTextNotFound
from bugrelay.domain.tickets.events import TicketTextBlanked
from bugrelay.domain.tickets.models import TicketEdit
from bugrelay.domain.tickets.repository.history import LongTexts, long_texts_of
from bugrelay.domain.tickets.schemas import EntryId
from bugrelay.domain.tickets.service.locking import lock_ticket
from bugrelay.domain.tickets.service.removal import require_admin
from bugrelay.infra.db.unit_of_work import UnitOfWork


async def blank_history_text(work: UnitOfWork, tenant: Tenant, ticket_id: UUID, entry: EntryId) -> None:
    """Blank the texts of an entry, also where the field's previous and next entries repeat them.

    The current text of the ticket stays as it is. Blanking twice changes nothing.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, TicketNotFound, InsufficientPermissions, HistoryTextNotFound
    """
    ticket = await lock_ticket(work, tenant, ticket_id)
    require_admin(tenant)
    texts = await long_texts_of(work, tenant, ticket_id, entry)
    if texts is None or entry.company_id != tenant.company_id:
        raise HistoryTextNotFound
    if texts.old_value is None and texts.new_value is None:
        return
    await _blank(work, tenant, ticket_id, texts)
    work.record(
        TicketTextBlanked(
            ticket_id=ticket.id,
            company_id=tenant.company_id,
            project_id=ticket.project_id,
            field=texts.field,
            edited_version=texts.version,
            version=ticket.version,
            actor_id=tenant.actor_id,
        )
    )


async def _blank(work: UnitOfWork, tenant: Tenant, ticket_id: UUID, texts: LongTexts) -> None:
    """The new text of one change is the old text of the next, so the history contains a text twice."""
    blanked = [value for value in (texts.old_value, texts.new_value) if value is not None]

    def kept(column: Any) -> ColumnElement[str | None]:
        return case((column.in_(blanked), null()), else_=column)

    await work.session.execute(
        update(TicketEdit)
        .where(
            TicketEdit.company_id == tenant.company_id,
            TicketEdit.ticket_id == ticket_id,
            TicketEdit.field == texts.field,
            or_(TicketEdit.old_value.in_(blanked), TicketEdit.new_value.in_(blanked)),
        )
        .values(old_value=kept(TicketEdit.old_value), new_value=kept(TicketEdit.new_value))
        .execution_options(synchronize_session=False)
    )
