"""Pictures of a bug, and `/uploads`, where they are served inert."""

from __future__ import annotations

import re

from litestar import Controller, Response, delete, get, post
from litestar.response import Stream

from bugrelay.api.v1.guards.bugs import require_may_attach, require_may_detach
from bugrelay.domain.bugs import repository
from bugrelay.domain.bugs.errors import FileNotFound, FileTooLarge
from bugrelay.domain.bugs.schemas import AttachmentResponse
from bugrelay.domain.bugs.service.attachments import attach, detach, new_storage_key
from bugrelay.http.files import file_response
from bugrelay.http.guard import anyone, users
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.uploads import read_upload
from bugrelay.infra.storage import FileMissing
from bugrelay.infra.text.plain import clean_filename


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
        image = await platform.images.clean(upload.content, uploader=str(request.user_id))
        storage_key = new_storage_key(image)
        await platform.storage.put(storage_key, image.content, content_type=image.mime_type)
        bug_id = request.path_id("bug_id")
        work = platform.work()
        try:
            async with work:
                attachment_id = await attach(
                    work,
                    bug_id,
                    user_id=request.user_id,
                    filename=clean_filename(upload.filename),
                    storage_key=storage_key,
                    image=image,
                    is_admin=request.viewer.is_admin,
                )
                stored = await repository.list_attachments(work.reader, bug_id)
        finally:
            if not work.may_be_committed:  # else perhaps the row is there, and must not lose its file
                await platform.storage.delete(storage_key)
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
        storage_key = f"bugs/{name}"
        known = _OUR_NAME.fullmatch(name) is not None
        mime_type = await repository.type_of_file(request.platform.database, storage_key) if known else None
        if mime_type is None:
            raise FileNotFound
        try:
            stored = await request.platform.storage.get(storage_key)
        except FileMissing as error:
            raise FileNotFound from error
        return file_response(request, stored, media_type=mime_type, headers=INERT | {"ETag": f'"{name}"'})


_OUR_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}\.[a-z]{1,5}")
INERT = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "public, no-cache",  # a removed picture must be gone within a second, from every cache
}
