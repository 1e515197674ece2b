"""Files and their rows: a file is stored first, then referenced by a row; without a row it is an orphan.

Rows reference files in a unique column `storage_key`. Who may add, read and remove a file is decided by the domain of
that row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from bugrelay.domain.files.errors import FileNotFound, UploadMismatch, UploadMissing
from bugrelay.domain.files.events import FileReleased
from bugrelay.domain.files.schemas import ANY_TYPE, NewFile, Upload
from bugrelay.domain.files.storage_keys import new_storage_key
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import EventBus
from bugrelay.infra.media.image_exchange import IMAGE_TYPES, CleanImage, NotAnImage
from bugrelay.infra.media.image_pool import ImageCleaner
from bugrelay.infra.storage.port import FileMissing, Storage, StoredFile

_ANY_EXTENSION: Final = "bin"


def is_picture(mime_type: str) -> bool:
    """Whether files of this declared type are decoded, re-encoded and shown as pictures."""
    return mime_type in IMAGE_TYPES


@asynccontextmanager
async def store_picture(
    work: UnitOfWork, content: bytes, *, folder: str, uploader: str, images: ImageCleaner, storage: Storage
) -> AsyncIterator[NewFile]:
    """Clean and store a picture, then run the block inside `work`; the block adds the row that references the file.

    If nothing was committed, the file is deleted.

    Args:
        work: The unit of work, not entered yet.
        content: The file as it was sent.
        folder: The folder of the storage key: one for each kind of row that has files.
        uploader: The key by which the image cleaner is shared fairly.
        images: The image cleaner.
        storage: The storage.

    Raises:
        NotAnImage, StorageUnavailable, ServiceUnavailable: Nothing was stored.
    """
    file = await _put_picture(content, folder=folder, uploader=uploader, images=images, storage=storage)
    async with _naming(work, file, storage):
        yield file


@asynccontextmanager
async def store_pictures(
    work: UnitOfWork,
    contents: Sequence[bytes],
    *,
    folder: str,
    uploader: str,
    images: ImageCleaner,
    storage: Storage,
) -> AsyncIterator[list[NewFile]]:
    """`store_picture` for several pictures, or for none.

    Raises:
        NotAnImage, StorageUnavailable, ServiceUnavailable: Nothing was stored.
    """
    stored: list[NewFile] = []
    try:
        for content in contents:
            stored.append(  # noqa: PERF401 - if one fails, those before it must be deleted
                await _put_picture(content, folder=folder, uploader=uploader, images=images, storage=storage)
            )
        async with work:
            yield stored
    finally:
        if not work.may_be_committed:
            for file in stored:
                await storage.delete(file.storage_key)


@asynccontextmanager
async def store_any(
    work: UnitOfWork,
    content: bytes,
    *,
    mime_type: str,
    folder: str,
    uploader: str,
    images: ImageCleaner,
    storage: Storage,
) -> AsyncIterator[NewFile]:
    """`store_picture` for a file of any type: declared pictures are cleaned, other files stored as they were sent.

    Raises:
        NotAnImage, StorageUnavailable, ServiceUnavailable: Nothing was stored.
    """
    if is_picture(mime_type):
        file = await _put_picture(content, folder=folder, uploader=uploader, images=images, storage=storage)
    else:
        file = await put_as_sent(content, mime_type=mime_type, folder=folder, storage=storage)
    async with _naming(work, file, storage):
        yield file


async def put_as_sent(content: bytes, *, mime_type: str, folder: str, storage: Storage) -> NewFile:
    """Store a file as it was sent. Until a row references it, it is an orphan, which a job deletes.

    Raises:
        StorageUnavailable, ServiceUnavailable: Nothing was stored.
    """
    file = NewFile(new_storage_key(folder, extension=_ANY_EXTENSION), len(content), mime_type)
    await storage.put(file.storage_key, content, content_type=ANY_TYPE)
    return file


@asynccontextmanager
async def take_over(
    work: UnitOfWork, upload: Upload, *, folder: str, uploader: str, images: ImageCleaner, storage: Storage
) -> AsyncIterator[NewFile]:
    """Check an upload in `incoming/` and store a copy of it, then run the block inside `work`, as `store_picture` does.

    The copy is checked, and has a key that the client does not know: it may overwrite the upload meanwhile.

    Raises:
        UploadMissing: Nothing was uploaded.
        UploadMismatch: It has another size, or was declared as a picture and is not of that type; nothing was stored.
        StorageUnavailable, ServiceUnavailable: Nothing was stored.
    """
    try:
        if await storage.size_of(upload.key) != upload.size_bytes:
            raise UploadMismatch("What was uploaded has another size than was announced")
        if is_picture(upload.mime_type):
            file = await _copied_picture(
                upload, folder=folder, uploader=uploader, images=images, storage=storage
            )
        else:
            file = await _copied(upload, folder, storage)
    except FileMissing as error:
        raise UploadMissing from error
    async with _naming(work, file, storage):
        release(work, upload.key)
        yield file


async def _copied(upload: Upload, folder: str, storage: Storage) -> NewFile:
    key = new_storage_key(folder, extension=_ANY_EXTENSION)
    await storage.copy(upload.key, key)
    if await storage.size_of(key) != upload.size_bytes:  # it was overwritten since the first check
        await storage.delete(key)
        raise UploadMismatch
    return NewFile(key, upload.size_bytes, upload.mime_type)


async def _copied_picture(
    upload: Upload, *, folder: str, uploader: str, images: ImageCleaner, storage: Storage
) -> NewFile:
    async def read() -> bytes:
        stored = await storage.get(upload.key)
        if stored.size_bytes != upload.size_bytes:  # it was overwritten since the first check
            raise UploadMismatch
        return await stored.read()

    try:
        image = await images.clean_read(read, uploader=uploader)
    except NotAnImage as error:
        raise UploadMismatch(error.message) from error
    if image.mime_type != upload.mime_type:
        raise UploadMismatch(f"What was uploaded is {image.mime_type}")
    return await _put_image(image, folder, storage)


async def _put_picture(
    content: bytes, *, folder: str, uploader: str, images: ImageCleaner, storage: Storage
) -> NewFile:
    image = await images.clean(content, uploader=uploader)
    return await _put_image(image, folder, storage)


async def _put_image(image: CleanImage, folder: str, storage: Storage) -> NewFile:
    key = new_storage_key(folder, extension=image.extension)
    await storage.put(key, image.content, content_type=image.mime_type)
    return NewFile(key, len(image.content), image.mime_type)


@asynccontextmanager
async def _naming(work: UnitOfWork, file: NewFile, storage: Storage) -> AsyncIterator[None]:
    """Run the block inside `work`, and delete the file if nothing was committed."""
    try:
        async with work:
            yield
    finally:
        if not work.may_be_committed:  # otherwise a row may exist, which must not lose its file
            await storage.delete(file.storage_key)


async def open_file(storage: Storage, storage_key: str) -> StoredFile:
    """Open a file that a row references.

    Raises:
        FileNotFound: It was removed since the row was read.
        ServiceUnavailable: Storage does not answer.
    """
    try:
        return await storage.get(storage_key)
    except FileMissing as error:
        raise FileNotFound from error


def release(work: UnitOfWork, storage_key: str) -> None:
    """Delete the file after the COMMIT; the row that references it is deleted in this unit of work."""
    work.record(FileReleased(storage_key))


def subscribe_storage(bus: EventBus, storage: Storage) -> None:
    """Delete released files after the COMMIT; a job sweeps those for which this fails."""

    async def delete_files(released: Sequence[FileReleased]) -> None:
        for file in released:
            await storage.delete(file.storage_key)

    bus.subscribe_afterwards(delete_files, FileReleased)
