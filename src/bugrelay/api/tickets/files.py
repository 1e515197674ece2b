"""`/uploads/tickets`, which serves files of tickets inert, and `/uploads/incoming`, which receives uploads.

Signed links are the only credential. Like uploads of the board, they are outside the rate limits of the API.
"""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, get, put
from litestar.response import Stream

from bugrelay.domain.files.errors import FileNotFound, UploadMismatch
from bugrelay.domain.files.schemas import ANY_TYPE
from bugrelay.domain.files.service import is_picture, open_file
from bugrelay.domain.files.storage_keys import incoming_key
from bugrelay.domain.tickets.repository import attachments as repository
from bugrelay.domain.tickets.service.file_links import SignedValues, company_of_link
from bugrelay.http.files import content_disposition, file_response
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, anyone
from bugrelay.http.uploads import body_chunks
from bugrelay.infra.media.image_exchange import IMAGE_TYPES
from bugrelay.infra.storage.port import ReceivingStorage, WrongSize

_INERT = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
    "Accept-Ranges": "none",
}


class TicketFileController(Controller):
    path = "/uploads"
    tags = ("Ticket files",)

    @get("/tickets/{attachment_id:str}")
    @Route(access=anyone(same_for_all=True), query=SignedValues, media_types=(*IMAGE_TYPES, ANY_TYPE))
    async def get_ticket_file(
        self, request: ApiRequest, attachment_id: UUID, query: SignedValues
    ) -> Response[bytes] | Stream:
        """Serve a file of a ticket by a signed link.

        Pictures are shown, all other files are downloads; both are inert.
        """
        platform = request.platform
        key = platform.settings.signing_key
        company_id = company_of_link(key, "ticket-file", file_id=attachment_id, sent=query)
        file = await repository.file_of_link(
            platform.database, company_id=company_id, attachment_id=attachment_id
        )
        if file is None:
            raise FileNotFound
        stored = await open_file(platform.storage, file.storage_key)
        shown = is_picture(file.mime_type)
        disposition = content_disposition("inline" if shown else "attachment", file.filename)
        headers = _INERT | {"Content-Disposition": disposition, "ETag": f'"{attachment_id}"'}
        media_type = file.mime_type if shown else ANY_TYPE
        return file_response(request, stored, media_type=media_type, headers=headers)

    @put("/incoming/{attachment_id:str}", request_max_body_size=None)
    @Route(access=anyone(same_for_all=True), query=SignedValues, limits=("general",), errors=(409,))
    async def receive_ticket_file(
        self, request: ApiRequest, attachment_id: UUID, query: SignedValues
    ) -> Response[Message]:
        """Receive the bytes of an announced file, where storage has no URLs of its own.

        They may be sent again until the upload is completed.
        """
        platform = request.platform
        storage = platform.storage
        key = platform.settings.signing_key
        company_id = company_of_link(key, "ticket-upload", file_id=attachment_id, sent=query)
        size_bytes = await repository.announced_size(
            platform.database, company_id=company_id, attachment_id=attachment_id
        )
        if size_bytes is None or not isinstance(storage, ReceivingStorage):
            raise FileNotFound
        if request.headers.get("content-length", str(size_bytes)) != str(size_bytes):
            raise UploadMismatch("The file has another size than was announced")
        try:
            await storage.put_chunks(incoming_key(attachment_id), body_chunks(request), size_bytes=size_bytes)
        except WrongSize as error:
            raise UploadMismatch("The file has another size than was announced") from error
        return json_response(Message("File uploaded; complete the upload now"))
