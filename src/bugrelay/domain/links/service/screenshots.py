"""Publication of selected screenshots: re-encoded, and stored under new random keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from bugrelay.domain.bugs.service.attachments import FOLDER
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.files.schemas import NewFile
from bugrelay.domain.files.service import open_file, store_pictures
from bugrelay.domain.links import repository
from bugrelay.errors import FieldProblem, ValidationFailed
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.media.image_pool import ImageCleaner
from bugrelay.infra.storage.port import Storage


@asynccontextmanager
async def with_screenshots(
    work: UnitOfWork,
    tenant: Tenant,
    ticket_id: UUID,
    *,
    names: Sequence[str],
    reader: Reader,
    images: ImageCleaner,
    storage: Storage,
) -> AsyncIterator[list[NewFile]]:
    """Run the block inside `work`, after the named screenshots of the ticket were stored for the public.

    Raises:
        ValidationFailed: The ticket has no screenshot with one of the names.
        FileNotFound, NotAnImage, StorageUnavailable, ServiceUnavailable: Nothing was stored.
    """
    contents = []
    for key in await _keys_of(reader, tenant, ticket_id, list(dict.fromkeys(names))):
        stored = await open_file(storage, key)
        contents.append(await stored.read())
    async with store_pictures(
        work, contents, folder=FOLDER, uploader=str(tenant.user_id), images=images, storage=storage
    ) as files:
        yield files


async def _keys_of(reader: Reader, tenant: Tenant, ticket_id: UUID, names: list[str]) -> list[str]:
    """
    Raises:
        ValidationFailed
    """
    if not names:
        return []
    found = await repository.screenshots_of(reader, company_id=tenant.company_id, ticket_id=ticket_id)
    keys = {picture.name: picture.storage_key for picture in found}
    problems = [
        FieldProblem(f"screenshots[{index}]", "must be a screenshot of this ticket")
        for index, name in enumerate(names)
        if name not in keys
    ]
    if problems:
        raise ValidationFailed(problems)
    return [keys[name] for name in names]
