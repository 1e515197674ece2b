"""Files of issues: the files of their tickets, uploaded in one request."""

from __future__ import annotations

import re
from datetime import datetime
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from msgspec import Struct

from bugrelay.api.issues.guards import OnIssue, load_issue
from bugrelay.api.tenant_files import TenantFile, download_link, load_file, require_may_delete
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.files.errors import AttachmentNotFound, FileTooLarge
from bugrelay.domain.files.service import store_any
from bugrelay.domain.tickets.repository import attachments as repository
from bugrelay.domain.tickets.schemas import AttachmentDetail, media_type_or_any
from bugrelay.domain.tickets.service import attachments
from bugrelay.errors import ValidationFailed
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, tenant_users
from bugrelay.http.uploads import read_upload
from bugrelay.infra.text.filenames import clean_filename

_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}\Z")


class IssueFileResponse(Struct):
    """A file of an issue.

    Attributes:
        id: The id of the file.
        filename: A name made of the id, which is safe anywhere.
        original_name: The file's name as sent, without path, control and bidirectional characters.
        file_size: The size in bytes; of a picture after re-encoding.
        content_type: The media type as sent; of a picture as verified. Other files are served as
            `application/octet-stream`.
        issue_id: The issue.
        uploaded_by: The id of its sender.
        created_at: When it was sent.
        download_url: A link that needs no credential.
        download_expires_at: When that link expires.
    """

    id: UUID
    filename: str
    original_name: str
    file_size: int
    content_type: str
    issue_id: UUID
    uploaded_by: UUID
    created_at: datetime
    download_url: str | None
    download_expires_at: datetime | None


class IssueFileEnvelope(Struct):
    """A file.

    Attributes:
        file: The file.
    """

    file: IssueFileResponse


class IssueFileController(Controller):
    path = "/api/v1/files"
    tags = ("Issue files",)

    @post("/upload/{issue_id:str}", request_max_body_size=None)
    @Route(access=tenant_users("who sees the issue"), loads=load_issue, upload="file", upload_type="*/*")
    async def upload_file(self, request: ApiRequest, issue: OnIssue) -> Response[IssueFileEnvelope]:
        """Add a file of any type to an issue.

        A picture is decoded and re-encoded, without metadata.
        """
        platform, tenant = request.platform, issue.tenant
        too_large = FileTooLarge(f"The file is larger than {platform.settings.max_upload_mb} MiB")
        upload = await read_upload(
            request, field="file", max_bytes=platform.settings.max_upload_bytes, too_large=too_large
        )
        if not upload.content:
            raise ValidationFailed.of("file", "must not be empty")
        work = platform.work()
        async with store_any(
            work,
            upload.content,
            mime_type=media_type_or_any(upload.content_type),
            folder=attachments.FOLDER,
            uploader=str(tenant.user_id),
            images=platform.images,
            storage=platform.storage,
        ) as file:
            attachment_id = await attachments.attach(
                work, tenant, ticket_id=issue.issue_id, filename=clean_filename(upload.filename), file=file
            )
            stored = await repository.find_attachment(work, tenant, attachment_id)
        if stored is None:
            raise AttachmentNotFound
        return json_response(IssueFileEnvelope(_response(request, tenant, stored)), status=201)

    @get("/{file_id:str}")
    @Route(access=tenant_users("who sees the issue"), loads=load_file)
    async def show_file(self, request: ApiRequest, file: TenantFile) -> Response[IssueFileEnvelope]:
        """A file of an issue, with a new link to it."""
        return json_response(IssueFileEnvelope(_response(request, file.tenant, file.attachment)))

    @delete("/{file_id:str}", status_code=200)
    @Route(access=tenant_users("the sender, company admins"), loads=require_may_delete)
    async def delete_file(self, request: ApiRequest, file: TenantFile) -> Response[Message]:
        """Delete a file."""
        async with request.platform.work() as work:
            await attachments.detach(work, file.tenant, attachment=file.attachment)
        return json_response(Message("File removed successfully"))


def _response(request: ApiRequest, tenant: Tenant, attachment: AttachmentDetail) -> IssueFileResponse:
    link = download_link(request, tenant, attachment)
    return IssueFileResponse(
        id=attachment.id,
        filename=_safe_name(attachment),
        original_name=attachment.filename,
        file_size=attachment.file_size,
        content_type=attachment.mime_type,
        issue_id=attachment.ticket_id,
        uploaded_by=attachment.uploader.id,
        created_at=attachment.created_at,
        download_url=link.url if link else None,
        download_expires_at=link.expires_at if link else None,
    )


def _safe_name(attachment: AttachmentDetail) -> str:
    """The id, with the extension of the original name if that is a plain one."""
    extension = _EXTENSION.search(attachment.filename)
    return f"{attachment.id}{extension[0].lower() if extension else ''}"
