"""Files and their rows: a file is stored first, then named by a row; one that no row names is nobody's.

Whoever names files does it in a column called `storage_key`, one a row, unique. Who may add, read and remove a file is
decided by the domain that its row belongs to.
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
    """Whether files that are said to be of this type are decoded, cleaned and shown."""
    return mime_type in IMAGE_TYPES


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
    """The same for several pictures, or for none.

    Raises:
        NotAnImage, StorageUnavailable, ServiceUnavailable: Nothing was stored.
    """
    stored: list[NewFile] = []
    try:
        for content in contents:
            stored.append(  # noqa: PERF401 - those before one that fails are to be deleted
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
    """The same for a file of any type: what is said to be a picture is cleaned, all else kept as it was sent.

    Raises:
        NotAnImage, StorageUnavailable, ServiceUnavailable: Nothing was stored.
    """
    if is_picture(mime_type):
        file = await _put_picture(content, folder=folder, uploader=uploader, images=images, storage=storage)
    else:
        file = NewFile(new_storage_key(folder, extension=_ANY_EXTENSION), len(content), mime_type)
        await storage.put(file.storage_key, content, content_type=ANY_TYPE)
    async with _naming(work, file, storage):
        yield file


@asynccontextmanager
async def take_over(
    work: UnitOfWork, upload: Upload, *, folder: str, uploader: str, images: ImageCleaner, storage: Storage
) -> AsyncIterator[NewFile]:
    """Check what somebody put into `incoming/` and keep a copy of it, then run the block inside `work`, as above.

    The copy has a key that they never knew, and the copy is what is checked: they may write to theirs meanwhile.

    Raises:
        UploadMissing: Nothing is there.
        UploadMismatch: It has another size, or is said to be a picture and is not that one; nothing was stored.
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
    if await storage.size_of(key) != upload.size_bytes:  # it was put anew since we looked
        await storage.delete(key)
        raise UploadMismatch
    return NewFile(key, upload.size_bytes, upload.mime_type)


async def _copied_picture(
    upload: Upload, *, folder: str, uploader: str, images: ImageCleaner, storage: Storage
) -> NewFile:
    async def read() -> bytes:
        stored = await storage.get(upload.key)
        if stored.size_bytes != upload.size_bytes:  # it was put anew since we looked
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
    """Run the block inside `work`, and delete the file where nothing was committed."""
    try:
        async with work:
            yield
    finally:
        if not work.may_be_committed:  # else perhaps the row is there, and must not lose its file
            await storage.delete(file.storage_key)


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
