"""Pictures of a bug: the file is stored first, then the row; a file that no row names is nobody's."""

from __future__ import annotations

import re
from uuid import UUID

from sqlalchemy import delete, func, select

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.bugs import repository
from bugrelay.domain.bugs.errors import AttachmentNotFound, BugNotFound, TooManyAttachments
from bugrelay.domain.bugs.events import ActedAsAdmin, AttachmentRemoved, BugChanged
from bugrelay.domain.bugs.models import Attachment
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.media.images import CleanImage
from bugrelay.infra.security.tokens import new_secret

MAX_ATTACHMENTS = 20


_STORAGE_KEY = re.compile(r"bugs/[A-Za-z0-9_-]{43}\.[a-z]{1,5}")


def new_storage_key(image: CleanImage) -> str:
    """A name of our own that nobody guesses."""
    return f"bugs/{new_secret()}.{image.extension}"


def is_storage_key_of_ours(key: str) -> bool:
    """Whether `new_storage_key` makes such names; a folder or bucket may hold other things."""
    return _STORAGE_KEY.fullmatch(key) is not None


async def attach(
    work: UnitOfWork,
    bug_id: UUID,
    *,
    user_id: UUID,
    filename: str,
    storage_key: str,
    image: CleanImage,
    is_admin: bool = False,
) -> UUID:
    """Name a stored file as a picture of the bug. An admin who does it to somebody else's bug acts as one.

    Raises:
        BugNotFound, TooManyAttachments, AccountBanned
    """
    await lock_active_user(work, user_id)
    bug = await repository.lock_bug(work.session, bug_id, before_writing=(Attachment,))
    if bug is None:
        raise BugNotFound
    count = await work.session.scalar(select(func.count()).where(Attachment.bug_id == bug_id))
    if (count or 0) >= MAX_ATTACHMENTS:
        raise TooManyAttachments
    attachment = Attachment(
        id=new_id(),
        bug_id=bug_id,
        user_id=user_id,
        filename=filename,
        storage_key=storage_key,
        file_size=len(image.content),
        mime_type=image.mime_type,
    )
    work.session.add(attachment)
    if is_admin and user_id != bug.reporter_id:
        work.record(
            ActedAsAdmin(
                user_id,
                "attachment_add",
                resource="attachment",
                resource_id=attachment.id,
                before={"bug_id": None},
                after={"bug_id": bug_id},
            )
        )
    work.record(BugChanged(bug_id))
    return attachment.id


async def detach(
    work: UnitOfWork, bug_id: UUID, attachment_id: UUID, *, user_id: UUID, is_admin: bool = False
) -> None:
    """Take a picture away; its file goes after the commit. An admin who takes somebody else's acts as one.

    Raises:
        AttachmentNotFound, AccountBanned
    """
    await lock_active_user(work, user_id)
    removing = (
        delete(Attachment)
        .where(Attachment.id == attachment_id, Attachment.bug_id == bug_id)
        .returning(Attachment.storage_key, Attachment.user_id)
        .execution_options(synchronize_session=False)
    )
    removed = (await work.session.execute(removing)).one_or_none()
    if removed is None:
        raise AttachmentNotFound
    if is_admin and user_id not in (removed.user_id, await _reporter_of(work, bug_id)):
        work.record(
            ActedAsAdmin(
                user_id,
                "attachment_remove",
                resource="attachment",
                resource_id=attachment_id,
                before={"bug_id": bug_id},
                after={"bug_id": None},
            )
        )
    work.record(AttachmentRemoved(removed.storage_key))
    work.record(BugChanged(bug_id))


async def _reporter_of(work: UnitOfWork, bug_id: UUID) -> UUID | None:
    bug = await repository.bug_state(work.reader, bug_id)
    return bug.reporter_id if bug else None
