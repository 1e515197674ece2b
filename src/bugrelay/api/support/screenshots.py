"""Screenshots: uploaded before their report, and served by signed links."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.response import Stream

from bugrelay.api.support.responses import SCREENSHOTS, ScreenshotUploaded
from bugrelay.api.tenant import require_tenant
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.files.errors import FileNotFound
from bugrelay.domain.files.service import open_file, store_picture
from bugrelay.domain.support.errors import ScreenshotTooLarge
from bugrelay.domain.support.repository import find_screenshot
from bugrelay.domain.support.schemas import ScreenshotRef
from bugrelay.domain.support.service.screenshots import FOLDER, upload_screenshot
from bugrelay.domain.tickets.service.file_links import (
    DOWNLOAD_FOR,
    SignedValues,
    company_of_link,
    new_link,
)
from bugrelay.http.files import file_response
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, anyone, tenant_users
from bugrelay.http.uploads import read_upload
from bugrelay.infra.media.image_exchange import IMAGE_TYPES

LINKS_PATH = "/uploads/support"
_INERT = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}


def screenshot_url(request: ApiRequest, tenant: Tenant, screenshot: ScreenshotRef) -> str:
    """A signed link to a screenshot for this tenant, valid for ten minutes."""
    settings = request.platform.settings
    return new_link(
        settings.signing_key,
        "support-screenshot",
        base_url=f"{settings.public_url}{LINKS_PATH}",
        file_id=screenshot.id,
        company_id=tenant.company_id,
        holds_for=DOWNLOAD_FOR,
    ).url


class ScreenshotController(Controller):
    path = "/api/support/upload-screenshot"
    tags = ("Support",)

    @post("/", status_code=200, request_max_body_size=None)
    @Route(access=tenant_users(), loads=require_tenant, upload="screenshot", errors=(409,))
    async def upload_screenshot(self, request: ApiRequest, tenant: Tenant) -> Response[ScreenshotUploaded]:
        """Upload a screenshot before its report.

        It is decoded and re-encoded, without metadata. It is deleted if no report uses it within a day.
        """
        platform, most = request.platform, request.platform.settings.max_screenshot_bytes
        upload = await read_upload(
            request, field="screenshot", max_bytes=most, too_large=ScreenshotTooLarge.of(most)
        )
        work = platform.work()
        async with store_picture(
            work,
            upload.content,
            folder=FOLDER,
            uploader=str(tenant.user_id),
            images=platform.images,
            storage=platform.storage,
        ) as file:
            screenshot = await upload_screenshot(work, tenant, file=file)
        url = screenshot_url(request, tenant, screenshot)
        path = f"{SCREENSHOTS}{screenshot.name}"
        return json_response(ScreenshotUploaded(filename=screenshot.name, path=path, url=url))


class ScreenshotFileController(Controller):
    path = LINKS_PATH
    tags = ("Support",)

    @get("/{screenshot_id:str}")
    @Route(access=anyone(same_for_all=True), query=SignedValues, media_types=IMAGE_TYPES)
    async def get_screenshot(
        self, request: ApiRequest, screenshot_id: UUID, query: SignedValues
    ) -> Response[bytes] | Stream:
        """Serve a screenshot by a signed link, inert."""
        platform = request.platform
        company_id = company_of_link(
            platform.settings.signing_key, "support-screenshot", file_id=screenshot_id, sent=query
        )
        found = await find_screenshot(platform.database, company_id=company_id, screenshot_id=screenshot_id)
        if found is None:
            raise FileNotFound
        stored = await open_file(platform.storage, found.storage_key)
        headers = _INERT | {"ETag": f'"{screenshot_id}"'}
        return file_response(request, stored, media_type=found.mime_type, headers=headers)
