"""Files and their rows: a file is stored first, then named by a row; one that no row names is nobody's.

Whoever names files does it in a column called `storage_key`, one a row, unique. Who may add, read and remove a file is
decided by the domain that its row belongs to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bugrelay.domain.files.errors import FileNotFound
from bugrelay.domain.files.events import FileReleased
from bugrelay.domain.files.schemas import NewFile
from bugrelay.domain.files.storage_keys import new_storage_key
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import EventBus
from bugrelay.infra.media.image_pool import ImageCleaner
from bugrelay.infra.storage.port import FileMissing, Storage, StoredFile


@asynccontextmanager
async def store_picture(
    work: UnitOfWork, content: bytes, *, folder: str, uploader: str, images: ImageCleaner, storage: Storage
) -> AsyncIterator[NewFile]:
    """Clean and store a picture, then run the block inside `work`: it adds the row that names the file.

    When nothing was committed, the file is deleted.

    Args:
        work: Not entered yet.
        content: As it was sent.
        folder: One for each kind of thing that files belong to.
        uploader: Whose it is; uploaders take turns at the image cleaner.
        images: Cleans it.
        storage: Keeps it.

    Raises:
        NotAnImage, StorageUnavailable, ServiceUnavailable: Nothing was stored.
    """
    image = await images.clean(content, uploader=uploader)
    key = new_storage_key(folder, extension=image.extension)
    await storage.put(key, image.content, content_type=image.mime_type)
    try:
        async with work:
            yield NewFile(key, len(image.content), image.mime_type)
    finally:
        if not work.may_be_committed:  # else perhaps the row is there, and must not lose its file
            await storage.delete(key)


async def open_file(storage: Storage, storage_key: str) -> StoredFile:
    """A file that a row names.

    Raises:
        FileNotFound: It was removed a moment ago.
        ServiceUnavailable: Storage does not answer.
    """
    try:
        return await storage.get(storage_key)
    except FileMissing as error:
        raise FileNotFound from error


def release(work: UnitOfWork, storage_key: str) -> None:
    """The row that named the file is deleted in this work; the file goes after the commit."""
    work.record(FileReleased(storage_key))


def subscribe_storage(bus: EventBus, storage: Storage) -> None:
    """Delete released files behind the COMMIT; those that are left then, a job sweeps."""

    async def delete_files(released: Sequence[FileReleased]) -> None:
        for file in released:
            await storage.delete(file.storage_key)

    bus.subscribe_afterwards(delete_files, FileReleased)
