"""Screenshots: sent with a report, or uploaded before it. They are stored in a folder that no public route serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, update

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.files.errors import TooManyUploads
from bugrelay.domain.files.schemas import NewFile
from bugrelay.domain.files.service import store_picture
from bugrelay.domain.support.models import Screenshot
from bugrelay.domain.support.repository import count_unused
from bugrelay.domain.support.schemas import ScreenshotRef
from bugrelay.domain.tickets.service.acting import lock_member
from bugrelay.errors import ValidationFailed
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.media.image_pool import ImageCleaner
from bugrelay.infra.security.tokens import new_secret
from bugrelay.infra.storage.port import Storage

FOLDER: Final = "private"  # of storage
UNUSED_FOR: Final = timedelta(hours=24)
MAX_UNUSED: Final = 20


@asynccontextmanager
async def with_picture(
    work: UnitOfWork, content: bytes | None, *, uploader: str, images: ImageCleaner, storage: Storage
) -> AsyncIterator[NewFile | None]:
    """Run the block inside `work`, after the picture, if there is one, was stored.

    Raises:
        NotAnImage, StorageUnavailable, ServiceUnavailable: Nothing was stored.
    """
    if content is None:
        async with work:
            yield None
        return
    async with store_picture(
        work, content, folder=FOLDER, uploader=uploader, images=images, storage=storage
    ) as file:
        yield file


async def upload_screenshot(work: UnitOfWork, tenant: Tenant, *, file: NewFile) -> ScreenshotRef:
    """Record an uploaded picture for a later report.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions, TooManyUploads
    """
    await lock_member(work, tenant)
    if await count_unused(work, tenant) >= MAX_UNUSED:
        raise TooManyUploads(
            "Too many unused uploads; use some of them, or wait: they are deleted within a day"
        )
    return _add(work, tenant, name=f"temp_{new_secret()}.png", ticket_id=None, file=file)


def add_screenshot(work: UnitOfWork, tenant: Tenant, *, ticket_id: UUID, file: NewFile) -> None:
    """Add a stored picture to a report."""
    _add(work, tenant, name=f"{new_secret()}.png", ticket_id=ticket_id, file=file)


async def use_upload(work: UnitOfWork, tenant: Tenant, *, ticket_id: UUID, name: str) -> None:
    """Assign an upload of the reporter to a report.

    Raises:
        ValidationFailed: It is another user's or company's, used already, or too old.
    """
    using = (
        update(Screenshot)
        .where(
            Screenshot.company_id == tenant.company_id,
            Screenshot.user_id == tenant.user_id,
            Screenshot.name == name,
            Screenshot.ticket_id.is_(None),
            Screenshot.created_at > func.now() - UNUSED_FOR,
        )
        .values(ticket_id=ticket_id)
        .returning(Screenshot.id)
        .execution_options(synchronize_session=False)
    )
    if await work.session.scalar(using) is None:
        raise ValidationFailed.of("screenshot_path", "must be an upload of yours that no report uses yet")


def _add(
    work: UnitOfWork, tenant: Tenant, *, name: str, ticket_id: UUID | None, file: NewFile
) -> ScreenshotRef:
    screenshot = Screenshot(
        id=new_id(),
        company_id=tenant.company_id,
        ticket_id=ticket_id,
        user_id=tenant.user_id,
        name=name,
        storage_key=file.storage_key,
        mime_type=file.mime_type,
        file_size=file.size_bytes,
    )
    work.session.add(screenshot)
    return ScreenshotRef(screenshot.id, name)
