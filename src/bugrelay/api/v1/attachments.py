"""Pictures of a bug, and `/uploads/bugs`, which serves them with headers that allow no scripts."""

from __future__ import annotations

import re
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.response import Stream

from bugrelay.api.v1.guards.bugs import require_may_attach, require_may_detach
from bugrelay.api.v1.responses.bugs import AttachmentResponse
from bugrelay.domain.bugs import repository
from bugrelay.domain.bugs.schemas import BugState
from bugrelay.domain.bugs.service.attachments import FOLDER, attach, detach
from bugrelay.domain.files.errors import FileNotFound, FileTooLarge
from bugrelay.domain.files.service import open_file, store_picture
from bugrelay.http.files import file_response
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, anyone, users
from bugrelay.http.uploads import read_upload
from bugrelay.infra.media.image_exchange import IMAGE_TYPES
from bugrelay.infra.text.filenames import clean_filename
from bugrelay.infra.viewer import SignedInViewer

ANY_FILE = "application/octet-stream"  # by which client generators recognise a file


class AttachmentController(Controller):
    path = "/api/v1/bugs/{bug_id:str}/attachments"
    tags = ("Attachments",)

    @post("/", request_max_body_size=None)
    @Route(access=users("reporter, admins"), loads=require_may_attach, upload="file")
    async def add_attachment(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState
    ) -> Response[AttachmentResponse]:
        """Add a picture to a bug.

        It is decoded and re-encoded, without metadata.
        """
        platform = request.platform
        limit = platform.settings.max_upload_bytes
        upload = await read_upload(
            request,
            field="file",
            max_bytes=limit,
            too_large=FileTooLarge(f"The file is larger than {platform.settings.max_upload_mb} MiB"),
        )
        work = platform.work()
        async with store_picture(
            work,
            upload.content,
            folder=FOLDER,
            uploader=str(viewer.user_id),
            images=platform.images,
            storage=platform.storage,
        ) as file:
            attachment_id = await attach(
                work,
                bug.id,
                user_id=viewer.user_id,
                filename=clean_filename(upload.filename),
                file=file,
                is_admin=viewer.is_admin,
            )
            stored = await repository.list_attachments(work, bug.id)
        attachment = next(one for one in stored if one.id == attachment_id)
        return json_response(AttachmentResponse("File uploaded successfully", attachment), status=201)

    @delete("/{attachment_id:str}", status_code=200)
    @Route(access=users("uploader, reporter, admins"), loads=require_may_detach)
    async def remove_attachment(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState, attachment_id: UUID
    ) -> Response[Message]:
        """Remove a picture."""
        async with request.platform.work() as work:
            await detach(work, bug.id, attachment_id, user_id=viewer.user_id, is_admin=viewer.is_admin)
        return json_response(Message("File removed successfully"))


class UploadController(Controller):
    path = "/uploads/bugs"
    tags = ("Attachments",)

    @get("/{name:str}")
    @Route(access=anyone(same_for_all=True), media_types=(*IMAGE_TYPES, ANY_FILE))
    async def get_upload(self, request: ApiRequest, name: str) -> Response[bytes] | Stream:
        """Serve a stored picture with its true media type and a policy that allows no scripts."""
        storage_key = f"{FOLDER}/{name}"
        known = _OUR_NAME.fullmatch(name) is not None
        mime_type = await repository.type_of_file(request.platform.database, storage_key) if known else None
        if mime_type is None:
            raise FileNotFound
        stored = await open_file(request.platform.storage, storage_key)
        return file_response(request, stored, media_type=mime_type, headers=INERT | {"ETag": f'"{name}"'})


_OUR_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}\.[a-z]{1,5}")
INERT = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "public, no-cache",  # caches must revalidate, since a removed picture must disappear
}
