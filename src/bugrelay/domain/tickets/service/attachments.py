"""Files of tickets: presigned uploads, completion, deletion.

A ticket has at most 50 files, and a sender at most 50 unfinished uploads, which count until a job deletes them. No
transaction is open between the announcement and the completion.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select, update

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.files import service as files
from bugrelay.domain.files.errors import (
    AttachmentNotFound,
    TooManyAttachments,
    TooManyUploads,
    UploadMissing,
)
from bugrelay.domain.files.schemas import NewFile, Upload
from bugrelay.domain.files.storage_keys import incoming_key
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.events import TicketFileAdded, TicketFileRemoved
from bugrelay.domain.tickets.models import Ticket, TicketAttachment
from bugrelay.domain.tickets.repository import attachments as repository
from bugrelay.domain.tickets.schemas import AttachmentDetail, NewAttachment
from bugrelay.domain.tickets.service.acting import lock_member
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.media.image_pool import ImageCleaner
from bugrelay.infra.storage.port import Storage

FOLDER: Final = "tickets"  # of storage
MAX_ATTACHMENTS: Final = 50
MAX_UNFINISHED: Final = 50
_DELETED_AT_ONCE: Final = 5000


class _AlreadyComplete(Exception):
    """A concurrent call has completed it."""


async def announce(work: UnitOfWork, tenant: Tenant, *, ticket_id: UUID, new: NewAttachment) -> UUID:
    """Announce an upload: create the row of a pending file.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions, TicketNotFound,
        TooManyAttachments, TooManyUploads
    """
    await lock_member(work, tenant)
    await _lock_ticket_with_room(work, tenant, ticket_id)
    if await repository.count_unfinished(work, tenant) >= MAX_UNFINISHED:
        raise TooManyUploads
    attachment = _row(tenant, ticket_id, new)
    work.session.add(attachment)
    return attachment.id


async def complete(
    work: UnitOfWork,
    tenant: Tenant,
    *,
    attachment: AttachmentDetail,
    reader: Reader,
    images: ImageCleaner,
    storage: Storage,
) -> None:
    """Check what was uploaded, and make it a file of the ticket; nothing happens if it is complete already.

    Args:
        work: A unit of work that is not entered yet.
        tenant: The tenant of the sender.
        attachment: The file as announced.
        reader: Reads outside of `work`.
        images: Cleans pictures.
        storage: Has the upload, and receives the file.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions, TicketNotFound,
        AttachmentNotFound, UploadMissing, UploadMismatch, StorageUnavailable,
        ServiceUnavailable
    """
    if attachment.is_complete:
        return
    upload = Upload(incoming_key(attachment.id), attachment.file_size, attachment.mime_type)
    try:
        async with files.take_over(
            work, upload, folder=FOLDER, uploader=str(tenant.user_id), images=images, storage=storage
        ) as file:
            await _finish(work, tenant, attachment=attachment, file=file)
    except (UploadMissing, _AlreadyComplete):
        # Of two concurrent completions, one takes the upload away from the other.
        now = await repository.find_attachment(reader, tenant, attachment.id)
        if now is None:
            raise AttachmentNotFound from None
        if not now.is_complete:
            raise


async def attach(work: UnitOfWork, tenant: Tenant, *, ticket_id: UUID, filename: str, file: NewFile) -> UUID:
    """Add a stored file to the ticket, in one step.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions, TicketNotFound,
        TooManyAttachments
    """
    await lock_member(work, tenant)
    ticket = await _lock_ticket_with_room(work, tenant, ticket_id)
    new = NewAttachment(filename=filename, mime_type=file.mime_type, file_size=file.size_bytes)
    attachment = _row(tenant, ticket_id, new)
    attachment.storage_key = file.storage_key
    work.session.add(attachment)
    await _count(work, tenant, ticket_id, by=1)
    _record_added(work, tenant, ticket, attachment_id=attachment.id, filename=filename, file=file)
    return attachment.id


async def detach(work: UnitOfWork, tenant: Tenant, *, attachment: AttachmentDetail) -> None:
    """Delete a file, or cancel an upload; the stored file is deleted after the commit.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions, TicketNotFound,
        AttachmentNotFound
    """
    await lock_member(work, tenant)
    ticket = await _lock_ticket(work, tenant, attachment.ticket_id)
    removing = (
        delete(TicketAttachment)
        .where(TicketAttachment.company_id == tenant.company_id, TicketAttachment.id == attachment.id)
        .returning(TicketAttachment.storage_key)
        .execution_options(synchronize_session=False)
    )
    removed = (await work.session.execute(removing)).one_or_none()
    if removed is None:
        raise AttachmentNotFound
    files.release(work, removed.storage_key or incoming_key(attachment.id))
    if removed.storage_key is not None:
        await _count(work, tenant, ticket.id, by=-1)
        work.record(
            TicketFileRemoved(
                ticket_id=ticket.id,
                company_id=tenant.company_id,
                project_id=ticket.project_id,
                attachment_id=attachment.id,
                filename=attachment.filename,
                version=ticket.version,
                actor_id=tenant.actor_id,
            )
        )


async def delete_unfinished(work: UnitOfWork, *, older_than: timedelta) -> int:
    """Delete a batch of abandoned uploads; their bytes are deleted with other orphans.

    Returns how many.
    """
    old = (
        select(TicketAttachment.id)
        .where(TicketAttachment.storage_key.is_(None), TicketAttachment.created_at < func.now() - older_than)
        .limit(_DELETED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    removing = (
        delete(TicketAttachment)
        .where(TicketAttachment.id.in_(old))
        .returning(TicketAttachment.id)
        .execution_options(synchronize_session=False)
    )
    return len((await work.session.execute(removing)).all())


def _row(tenant: Tenant, ticket_id: UUID, new: NewAttachment) -> TicketAttachment:
    return TicketAttachment(
        id=new_id(),
        company_id=tenant.company_id,
        ticket_id=ticket_id,
        user_id=tenant.user_id,
        filename=new.filename,
        mime_type=new.mime_type,
        file_size=new.file_size,
    )


async def _lock_ticket(work: UnitOfWork, tenant: Tenant, ticket_id: UUID) -> repository.LockedTicket:
    ticket = await repository.lock_ticket_for_files(work, tenant, ticket_id)
    if ticket is None:
        raise TicketNotFound
    return ticket


async def _lock_ticket_with_room(
    work: UnitOfWork, tenant: Tenant, ticket_id: UUID
) -> repository.LockedTicket:
    ticket = await _lock_ticket(work, tenant, ticket_id)
    count = await repository.count_files(work, company_id=tenant.company_id, ticket_id=ticket_id)
    if count >= MAX_ATTACHMENTS:
        raise TooManyAttachments(f"A ticket can have {MAX_ATTACHMENTS} files at most")
    return ticket


async def _finish(work: UnitOfWork, tenant: Tenant, *, attachment: AttachmentDetail, file: NewFile) -> None:
    """
    Raises:
        _AlreadyComplete: Or deleted.
    """
    await lock_member(work, tenant)
    ticket = await _lock_ticket(work, tenant, attachment.ticket_id)
    finishing = (
        update(TicketAttachment)
        .where(
            TicketAttachment.company_id == tenant.company_id,
            TicketAttachment.id == attachment.id,
            TicketAttachment.storage_key.is_(None),
        )
        .values(storage_key=file.storage_key, file_size=file.size_bytes, mime_type=file.mime_type)
        .returning(TicketAttachment.id)
        .execution_options(synchronize_session=False)
    )
    if (await work.session.execute(finishing)).one_or_none() is None:
        raise _AlreadyComplete
    await _count(work, tenant, ticket.id, by=1)
    _record_added(work, tenant, ticket, attachment_id=attachment.id, filename=attachment.filename, file=file)


async def _count(work: UnitOfWork, tenant: Tenant, ticket_id: UUID, *, by: int) -> None:
    moved = {"updated_at": func.now()} if by > 0 else {}
    counting = (
        update(Ticket)
        .where(Ticket.company_id == tenant.company_id, Ticket.id == ticket_id)
        .values(attachment_count=Ticket.attachment_count + by, **moved)
        .execution_options(synchronize_session=False)
    )
    await work.session.execute(counting)


def _record_added(
    work: UnitOfWork,
    tenant: Tenant,
    ticket: repository.LockedTicket,
    *,
    attachment_id: UUID,
    filename: str,
    file: NewFile,
) -> None:
    work.record(
        TicketFileAdded(
            ticket_id=ticket.id,
            company_id=tenant.company_id,
            project_id=ticket.project_id,
            attachment_id=attachment_id,
            filename=filename,
            mime_type=file.mime_type,
            size_bytes=file.size_bytes,
            version=ticket.version,
            actor_id=tenant.actor_id,
        )
    )
