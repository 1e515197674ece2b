"""Attach pictures to a bug and remove them: rows in step with the stored files."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from sqlalchemy import delete

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.bugs import repository
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.events import ActedAsAdmin, AttachmentAdded, AttachmentRemoved
from bugrelay.domain.bugs.models import Attachment, Bug
from bugrelay.domain.files import service as files
from bugrelay.domain.files.errors import AttachmentNotFound, TooManyAttachments
from bugrelay.domain.files.schemas import NewFile
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id

MAX_ATTACHMENTS = 20
FOLDER = "bugs"  # of storage


async def attach(
    work: UnitOfWork,
    bug_id: UUID,
    *,
    user_id: UUID,
    filename: str,
    file: NewFile,
    is_admin: bool = False,
) -> UUID:
    """Attach a stored file to the bug, and return the attachment's id.

    An admin who attaches to another user's bug is recorded in the audit log.

    Raises:
        BugNotFound, TooManyAttachments, AccountBanned
    """
    await lock_active_user(work, user_id)
    bug = await repository.lock_bug(work, bug_id, before_writing=(Attachment,))
    if bug is None:
        raise BugNotFound
    if await repository.count_attachments(work, bug_id) >= MAX_ATTACHMENTS:
        raise TooManyAttachments(f"A bug can have {MAX_ATTACHMENTS} attachments at most")
    attachment = Attachment(
        id=new_id(),
        bug_id=bug_id,
        user_id=user_id,
        filename=filename,
        storage_key=file.storage_key,
        file_size=file.size_bytes,
        mime_type=file.mime_type,
    )
    work.session.add(attachment)
    if is_admin and user_id != bug.reporter_id:
        work.record(
            _act("attachment_add", attachment.id, admin_id=user_id, former_bug_id=None, bug_id=bug_id)
        )
    work.record(
        AttachmentAdded(
            attachment_id=attachment.id,
            bug_id=bug_id,
            company_id=bug.assigned_company_id,
            filename=filename,
            mime_type=file.mime_type,
            size_bytes=file.size_bytes,
            actor_id=user_id,
        )
    )
    return attachment.id


async def detach(
    work: UnitOfWork, bug_id: UUID, attachment_id: UUID, *, user_id: UUID, is_admin: bool = False
) -> None:
    """Remove a picture; its file is deleted after the commit.

    An admin who removes another user's picture from another user's bug is recorded in the audit log.

    Raises:
        AttachmentNotFound, AccountBanned
    """
    await lock_active_user(work, user_id)
    removing = (
        delete(Attachment)
        .where(Attachment.id == attachment_id, Attachment.bug_id == bug_id, Bug.id == Attachment.bug_id)
        .returning(Attachment.storage_key, Attachment.user_id, Bug.reporter_id, Bug.assigned_company_id)
        .execution_options(synchronize_session=False)
    )
    removed = (await work.session.execute(removing)).one_or_none()
    if removed is None:
        raise AttachmentNotFound
    if is_admin and user_id not in (removed.user_id, removed.reporter_id):
        work.record(
            _act("attachment_remove", attachment_id, admin_id=user_id, former_bug_id=bug_id, bug_id=None)
        )
    files.release(work, removed.storage_key)
    work.record(
        AttachmentRemoved(
            attachment_id=attachment_id,
            bug_id=bug_id,
            company_id=removed.assigned_company_id,
            actor_id=user_id,
        )
    )


def _act(
    action: Literal["attachment_add", "attachment_remove"],
    attachment_id: UUID,
    *,
    admin_id: UUID,
    former_bug_id: UUID | None,
    bug_id: UUID | None,
) -> ActedAsAdmin:
    """The fact for the audit log: an admin changed the pictures of another user's bug."""
    return ActedAsAdmin(
        admin_id,
        action,
        resource="attachment",
        resource_id=attachment_id,
        before={"bug_id": former_bug_id},
        after={"bug_id": bug_id},
    )
