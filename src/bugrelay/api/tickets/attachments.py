"""Files of tickets: presigned uploads, completion, lists, deletion."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from bugrelay.api.tenant import require_tenant
from bugrelay.api.tenant_files import (
    INCOMING_PATH,
    TenantFile,
    download_link,
    load_file,
    require_may_delete,
    require_sender,
)
from bugrelay.api.tickets.responses import PageOut, written_as
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.files.errors import AttachmentNotFound, FileTooLarge
from bugrelay.domain.files.schemas import ANY_TYPE
from bugrelay.domain.files.storage_keys import incoming_key
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.repository import attachments as repository
from bugrelay.domain.tickets.schemas import (
    AttachmentDetail,
    MediaType,
    NewAttachment,
    SentFilename,
    TicketUser,
)
from bugrelay.domain.tickets.service import attachments
from bugrelay.domain.tickets.service.file_links import UPLOAD_FOR, new_link
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.pagination import PageQuery, Pagination


class TicketFileResponse(Struct, rename="camel"):
    """A file of a ticket.

    Attributes:
        id: The id of the file.
        ticket_id: The ticket.
        filename: The file's name as sent, without path, control and bidirectional characters.
        size: The size in bytes; of a picture after re-encoding.
        content_type: The media type as sent; of a picture as verified. Other files are served as
            `application/octet-stream`.
        status: `pending` until its upload is completed, then `ready`.
        uploaded_by: The user who uploaded it.
        download_url: A link that needs no credential; null while the upload is pending.
        download_expires_at: When that link expires.
        created_at: When the upload was announced.
    """

    id: UUID
    ticket_id: UUID
    filename: str
    size: int
    content_type: str
    status: Literal["pending", "ready"]
    uploaded_by: TicketUser
    download_url: str | None
    download_expires_at: datetime | None
    created_at: datetime


class TicketFileEnvelope(Struct):
    """A file.

    Attributes:
        attachment: The file.
    """

    attachment: TicketFileResponse


class TicketFileList(Struct):
    """Files of a ticket.

    Attributes:
        attachments: Oldest first.
        pagination: The page's position in the list.
    """

    attachments: list[TicketFileResponse]
    pagination: PageOut


class PresignedUpload(Struct, rename="camel"):
    """A presigned upload.

    Attributes:
        attachment: The file, pending.
        upload_url: The URL to upload to; it needs no credential.
        method: The HTTP method of the upload.
        headers: The headers of the upload.
        expires_at: When the URL expires.
    """

    attachment: TicketFileResponse
    upload_url: str
    method: Literal["PUT"]
    headers: dict[str, str]
    expires_at: datetime


class AnnounceFile(Struct, rename="camel"):
    """A file to upload.

    Attributes:
        ticket_id: The ticket.
        filename: The file's name; a path is cut off.
        size: The size in bytes.
        content_type: The media type. Pictures (JPEG, PNG, GIF, WebP) are verified.
    """

    ticket_id: UUID
    filename: SentFilename
    size: Annotated[int, Meta(ge=1)]
    content_type: MediaType = ANY_TYPE


class TicketFileQuery(PageQuery, rename="camel", kw_only=True):
    """Files of one ticket.

    Attributes:
        ticket_id: The ticket.
    """

    ticket_id: UUID


class TicketAttachmentController(Controller):
    path = "/api/v1/attachments"
    tags = ("Ticket files",)

    @post("/presign")
    @Route(access=tenant_users("who sees the ticket"), loads=require_tenant)
    async def presign_attachment(
        self, request: ApiRequest, tenant: Tenant, data: JSONBody[AnnounceFile]
    ) -> Response[PresignedUpload]:
        """Announce a file, and get a URL to upload it to.

        The file is listed only after its upload is completed.
        """
        platform = request.platform
        if data.size > platform.settings.max_upload_bytes:
            raise FileTooLarge(f"The file is larger than {platform.settings.max_upload_mb} MiB")
        new = NewAttachment(filename=data.filename, mime_type=data.content_type, file_size=data.size)
        async with platform.work() as work:
            attachment_id = await attachments.announce(work, tenant, ticket_id=data.ticket_id, new=new)
            attachment = await repository.find_attachment(work, tenant, attachment_id)
        if attachment is None:
            raise AttachmentNotFound
        return json_response(await _presigned(request, tenant, attachment), status=201)

    @post("/{attachment_id:str}/complete", status_code=200)
    @Route(access=tenant_users("the sender"), loads=require_sender, errors=(409,))
    async def complete_attachment(
        self, request: ApiRequest, file: TenantFile
    ) -> Response[TicketFileEnvelope]:
        """Complete an upload.

        The file is verified and copied. Completing it again changes nothing (idempotent).
        """
        platform = request.platform
        await attachments.complete(
            platform.work(),
            file.tenant,
            attachment=file.attachment,
            reader=platform.database,
            images=platform.images,
            storage=platform.storage,
        )
        stored = await repository.find_attachment(platform.database, file.tenant, file.attachment.id)
        if stored is None:
            raise AttachmentNotFound
        return json_response(TicketFileEnvelope(_response(request, file.tenant, stored)))

    @get("/")
    @Route(access=tenant_users("who sees the ticket"), loads=require_tenant, query=TicketFileQuery)
    async def list_attachments(
        self, request: ApiRequest, tenant: Tenant, query: TicketFileQuery
    ) -> Response[TicketFileList]:
        """List the files of a ticket, oldest first."""
        database = request.platform.database
        total = await repository.attachment_total(database, tenant, query.ticket_id)
        if total is None:
            raise TicketNotFound
        found = await repository.list_attachments(database, tenant, ticket_id=query.ticket_id, page=query)
        files = [_response(request, tenant, one) for one in found]
        return json_response(TicketFileList(files, written_as(PageOut, Pagination.of(query, total))))

    @get("/{attachment_id:str}")
    @Route(access=tenant_users("who sees the ticket"), loads=load_file)
    async def show_attachment(self, request: ApiRequest, file: TenantFile) -> Response[TicketFileEnvelope]:
        """Show a file of a ticket, with a new link to it."""
        return json_response(TicketFileEnvelope(_response(request, file.tenant, file.attachment)))

    @delete("/{attachment_id:str}", status_code=200)
    @Route(access=tenant_users("the sender, company admins"), loads=require_may_delete)
    async def delete_attachment(self, request: ApiRequest, file: TenantFile) -> Response[Message]:
        """Delete a file, or cancel an upload."""
        async with request.platform.work() as work:
            await attachments.detach(work, file.tenant, attachment=file.attachment)
        return json_response(Message("File removed successfully"))


async def _presigned(request: ApiRequest, tenant: Tenant, attachment: AttachmentDetail) -> PresignedUpload:
    """Presigned by storage where it has URLs, else by us."""
    platform = request.platform
    expires_at = datetime.now(UTC) + UPLOAD_FOR
    url = await platform.storage.presigned_put(incoming_key(attachment.id), expires_in=UPLOAD_FOR)
    if url is None:
        link = new_link(
            platform.settings.signing_key,
            "ticket-upload",
            base_url=f"{platform.settings.public_url}{INCOMING_PATH}",
            file_id=attachment.id,
            company_id=tenant.company_id,
            holds_for=UPLOAD_FOR,
        )
        url, expires_at = link.url, link.expires_at
    headers = {"Content-Type": attachment.mime_type}
    return PresignedUpload(_response(request, tenant, attachment), url, "PUT", headers, expires_at)


def _response(request: ApiRequest, tenant: Tenant, attachment: AttachmentDetail) -> TicketFileResponse:
    link = download_link(request, tenant, attachment)
    return TicketFileResponse(
        id=attachment.id,
        ticket_id=attachment.ticket_id,
        filename=attachment.filename,
        size=attachment.file_size,
        content_type=attachment.mime_type,
        status="ready" if attachment.is_complete else "pending",
        uploaded_by=attachment.uploader,
        download_url=link.url if link else None,
        download_expires_at=link.expires_at if link else None,
        created_at=attachment.created_at,
    )
