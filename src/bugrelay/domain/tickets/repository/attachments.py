"""Files of tickets: files of a ticket that the tenant's user sees, and files of signed links."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Select, and_, bindparam, func, select

from bugrelay.domain.accounts.models import User
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.models import Ticket, TicketAttachment
from bugrelay.domain.tickets.repository.columns import NAME, values_of
from bugrelay.domain.tickets.schemas import AttachmentDetail, TicketUser
from bugrelay.domain.tickets.visibility import COMPANY_ID, USER_ID, by_sight, visible_to
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery


class _AttachmentRow(Row, array_like=True):
    id: UUID
    ticket_id: UUID
    filename: str
    mime_type: str
    file_size: int
    storage_key: str | None
    created_at: datetime
    user_id: UUID
    username: str
    name: str


class StoredAttachment(Row):
    """A complete file: its storage key, and its media type."""

    storage_key: str
    filename: str
    mime_type: str


class LockedTicket(Row):
    """A locked ticket."""

    id: UUID
    project_id: UUID
    version: int


_FINISHED = TicketAttachment.storage_key.is_not(None)
_OF_TICKET = and_(Ticket.company_id == TicketAttachment.company_id, Ticket.id == TicketAttachment.ticket_id)


_COLUMNS: tuple[Any, ...] = (
    TicketAttachment.id,
    TicketAttachment.ticket_id,
    TicketAttachment.filename,
    TicketAttachment.mime_type,
    TicketAttachment.file_size,
    TicketAttachment.storage_key,
    TicketAttachment.created_at,
    TicketAttachment.user_id,
    User.username,
    NAME.label("name"),
)


def _attachments(tenant: Tenant) -> Select[Any]:
    return (
        select(*_COLUMNS)
        .select_from(TicketAttachment)
        .join(Ticket, _OF_TICKET)
        .join(User, User.id == TicketAttachment.user_id)
        .where(TicketAttachment.company_id == COMPANY_ID, visible_to(tenant))
    )


_ONE = by_sight(
    lambda tenant: Query(
        _attachments(tenant).where(TicketAttachment.id == bindparam("attachment_id")), _AttachmentRow
    )
)
_PAGE = by_sight(
    lambda tenant: Query(
        _attachments(tenant)
        .where(TicketAttachment.ticket_id == bindparam("ticket_id"), _FINISHED)
        .order_by(TicketAttachment.created_at, TicketAttachment.id)
        .limit(bindparam("limit", type_=Integer))
        .offset(bindparam("offset", type_=Integer)),
        _AttachmentRow,
    )
)
_FILE = Query(
    select(TicketAttachment.storage_key, TicketAttachment.filename, TicketAttachment.mime_type)
    .join(Ticket, _OF_TICKET)
    .where(
        TicketAttachment.company_id == COMPANY_ID,
        Ticket.company_id == COMPANY_ID,
        TicketAttachment.id == bindparam("attachment_id"),
        _FINISHED,
        Ticket.removed_at.is_(None),
    ),
    StoredAttachment,
)
_ANNOUNCED_SIZE = Query(
    select(TicketAttachment.file_size)
    .join(Ticket, _OF_TICKET)
    .where(
        TicketAttachment.company_id == COMPANY_ID,
        Ticket.company_id == COMPANY_ID,
        TicketAttachment.id == bindparam("attachment_id"),
        ~_FINISHED,
        Ticket.removed_at.is_(None),
    ),
    int,
)
_LOCK_TICKET = by_sight(
    lambda tenant: Query(
        select(Ticket.id, Ticket.project_id, Ticket.version)
        .where(visible_to(tenant), Ticket.id == bindparam("ticket_id"))
        .with_for_update(key_share=True, of=Ticket),
        LockedTicket,
    )
)
_TOTAL = by_sight(
    lambda tenant: Query(
        select(Ticket.attachment_count).where(visible_to(tenant), Ticket.id == bindparam("ticket_id")), int
    )
)
_COUNT = Query(
    select(func.count()).where(
        TicketAttachment.company_id == COMPANY_ID, TicketAttachment.ticket_id == bindparam("ticket_id")
    ),
    int,
)
_UNFINISHED = Query(
    select(func.count()).where(
        TicketAttachment.company_id == COMPANY_ID, TicketAttachment.user_id == USER_ID, ~_FINISHED
    ),
    int,
)


def _attachment_of(row: _AttachmentRow) -> AttachmentDetail:
    return AttachmentDetail(
        id=row.id,
        ticket_id=row.ticket_id,
        filename=row.filename,
        mime_type=row.mime_type,
        file_size=row.file_size,
        is_complete=row.storage_key is not None,
        uploader=TicketUser(row.user_id, row.username, row.name),
        created_at=row.created_at,
    )


async def find_attachment(reader: Reader, tenant: Tenant, attachment_id: UUID) -> AttachmentDetail | None:
    """A file of a ticket that the tenant's user sees, complete or not."""
    row = await reader.row(_ONE.of(tenant), values_of(tenant, attachment_id=attachment_id))
    return None if row is None else _attachment_of(row)


async def list_attachments(
    reader: Reader, tenant: Tenant, *, ticket_id: UUID, page: PageQuery
) -> list[AttachmentDetail]:
    """The complete files of a ticket that the tenant's user sees, oldest first."""
    values = values_of(tenant, ticket_id=ticket_id, limit=page.limit, offset=page.offset)
    return [_attachment_of(row) for row in await reader.rows(_PAGE.of(tenant), values)]


async def attachment_total(reader: Reader, tenant: Tenant, ticket_id: UUID) -> int | None:
    """The number of complete files of the ticket; None if the tenant's user does not see it."""
    return await reader.row(_TOTAL.of(tenant), values_of(tenant, ticket_id=ticket_id))


async def file_of_link(reader: Reader, *, company_id: UUID, attachment_id: UUID) -> StoredAttachment | None:
    """A complete file of a ticket that is not removed, for a signed link: the user is not checked."""
    return await reader.row(_FILE, {"company_id": company_id, "attachment_id": attachment_id})


async def announced_size(reader: Reader, *, company_id: UUID, attachment_id: UUID) -> int | None:
    """The announced size of an upload that is not complete yet."""
    return await reader.row(_ANNOUNCED_SIZE, {"company_id": company_id, "attachment_id": attachment_id})


async def lock_ticket_for_files(reader: Reader, tenant: Tenant, ticket_id: UUID) -> LockedTicket | None:
    """A ticket that the tenant's user sees, locked."""
    return await reader.row(_LOCK_TICKET.of(tenant), values_of(tenant, ticket_id=ticket_id))


async def count_files(reader: Reader, *, company_id: UUID, ticket_id: UUID) -> int:
    """The number of files of a ticket, unfinished ones included."""
    return await reader.row(_COUNT, {"company_id": company_id, "ticket_id": ticket_id}) or 0


async def count_unfinished(reader: Reader, tenant: Tenant) -> int:
    """The number of uploads that the tenant's user has begun and not completed."""
    return await reader.row(_UNFINISHED, values_of(tenant)) or 0
