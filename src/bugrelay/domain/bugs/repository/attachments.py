"""SELECTs of pictures and their files."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, func, select

from bugrelay.domain.bugs.models import Attachment, Bug
from bugrelay.domain.bugs.schemas import AttachmentOut, AttachmentState
from bugrelay.domain.bugs.visibility import LISTED
from bugrelay.infra.db.query import Query, Reader, Row


class AttachmentRow(Row, array_like=True):
    id: UUID
    bug_id: UUID
    filename: str
    storage_key: str
    file_size: int
    mime_type: str
    uploaded_at: datetime


_of_bug = Attachment.bug_id == bindparam("bug_id")
ATTACHMENTS_OF_BUG = select(*(getattr(Attachment, name) for name in AttachmentRow.__struct_fields__)).where(
    _of_bug
)
_ATTACHMENTS = Query(ATTACHMENTS_OF_BUG.order_by(Attachment.uploaded_at, Attachment.id), AttachmentRow)
_COUNT = Query(select(func.count()).where(_of_bug), int)
_FILE = Query(
    select(Attachment.mime_type)
    .join(Bug, Bug.id == Attachment.bug_id)
    .where(Attachment.storage_key == bindparam("storage_key"), LISTED),
    str,
)
_STATE = Query(
    select(Attachment.id, Attachment.user_id.label("uploader_id")).where(
        Attachment.id == bindparam("attachment_id"), _of_bug
    ),
    AttachmentState,
)


def file_url(storage_key: str) -> str:
    return f"/uploads/{storage_key}"


def attachment_of(row: AttachmentRow) -> AttachmentOut:
    return AttachmentOut(
        id=row.id,
        bug_id=row.bug_id,
        filename=row.filename,
        file_url=file_url(row.storage_key),
        file_size=row.file_size,
        mime_type=row.mime_type,
        uploaded_at=row.uploaded_at,
    )


async def list_attachments(reader: Reader, bug_id: UUID) -> list[AttachmentOut]:
    """The pictures of a bug, oldest first; the caller has checked that the bug is visible."""
    return [attachment_of(row) for row in await reader.rows(_ATTACHMENTS, {"bug_id": bug_id})]


async def count_attachments(reader: Reader, bug_id: UUID) -> int:
    return await reader.row(_COUNT, {"bug_id": bug_id}) or 0


async def find_attachment(reader: Reader, bug_id: UUID, attachment_id: UUID) -> AttachmentState | None:
    """The state of a picture of the bug; None if it has no such picture."""
    return await reader.row(_STATE, {"bug_id": bug_id, "attachment_id": attachment_id})


async def type_of_file(reader: Reader, storage_key: str) -> str | None:
    """The media type of a stored picture; None if it is not served: there is none, or its bug is not listed."""
    return await reader.row(_FILE, {"storage_key": storage_key})
