"""Pictures of a bug, and `/uploads`, where they are served inert."""

from __future__ import annotations

import re

from litestar import Controller, Response, delete, get, post
from litestar.response import Stream

from bugrelay.api.v1.guards.bugs import require_may_attach, require_may_detach
from bugrelay.domain.bugs import repository
from bugrelay.domain.bugs.schemas import AttachmentResponse
from bugrelay.domain.bugs.service.attachments import FOLDER, attach, detach
from bugrelay.domain.files.errors import FileNotFound, FileTooLarge
from bugrelay.domain.files.service import open_file, store_picture
from bugrelay.http.files import file_response
from bugrelay.http.guard import anyone, users
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.uploads import read_upload
from bugrelay.infra.text.filenames import clean_filename


class AttachmentController(Controller):
    path = "/api/v1/bugs/{bug_id:str}/attachments"
    tags = ("Attachments",)
    opt = users(require_may_attach, role="reporter, admins").opt()

    @post("/", request_max_body_size=None, opt={"upload": "file"})
    async def add(self, request: ApiRequest) -> Response[AttachmentResponse]:
        """Add a picture. It is decoded and written anew, without metadata."""
        platform = request.platform
        limit = platform.settings.max_upload_bytes
        upload = await read_upload(
            request,
            field="file",
            max_bytes=limit,
            too_large=FileTooLarge(f"The file is larger than {platform.settings.max_upload_mb} MiB"),
        )
        bug_id = request.path_id("bug_id")
        work = platform.work()
        async with store_picture(
            work,
            upload.content,
            folder=FOLDER,
            uploader=str(request.user_id),
            images=platform.images,
            storage=platform.storage,
        ) as file:
            attachment_id = await attach(
                work,
                bug_id,
                user_id=request.user_id,
                filename=clean_filename(upload.filename),
                file=file,
                is_admin=request.viewer.is_admin,
            )
            stored = await repository.list_attachments(work.reader, bug_id)
        attachment = next(one for one in stored if one.id == attachment_id)
        return json_response(AttachmentResponse("File uploaded successfully", attachment), status=201)

    @delete(
        "/{attachment_id:str}",
        status_code=200,
        opt=users(require_may_detach, role="uploader, reporter, admins").opt(),
    )
    async def remove(self, request: ApiRequest) -> Response[Message]:
        """Take a picture away."""
        async with request.platform.work() as work:
            await detach(
                work,
                request.path_id("bug_id"),
                request.path_id("attachment_id"),
                user_id=request.user_id,
                is_admin=request.viewer.is_admin,
            )
        return json_response(Message("File removed successfully"))


class UploadController(Controller):
    path = "/uploads/bugs"
    tags = ("Attachments",)

    @get("/{name:str}", opt=anyone().opt())
    async def serve(self, request: ApiRequest) -> Response[bytes] | Stream:
        """A stored picture, under its true type, in a form that runs nothing."""
        name = request.path_params["name"]
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
    "Cache-Control": "public, no-cache",  # a removed picture must be gone within a second, from every cache
}
