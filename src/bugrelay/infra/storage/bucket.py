"""Files in an S3 bucket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

import obstore
import structlog
from obstore.exceptions import BaseError as ObstoreError
from obstore.store import S3Store

from bugrelay.infra.storage.port import (
    DEADLINE_SECONDS,
    LISTED_AT_ONCE,
    STORAGE_KEY,
    FileMissing,
    ListedFile,
    StorageUnavailable,
    StoredFile,
    plain_reason,
    unavailable,
)
from bugrelay.settings import SettingError

if TYPE_CHECKING:
    from obstore.store import S3Config

_CHUNK_BYTES = 256 * 1024  # larger than for a folder, since each chunk is a request
_OPTIONS = {"endpoint", "region", "access_key_id", "secret_access_key"}

log = structlog.get_logger()
T = TypeVar("T")


def s3_storage_from(upload_url: str) -> S3Storage:
    """The bucket at a URL.

    Raises:
        SettingError: The URL names no bucket, or has unknown options.
    """
    parts = urlsplit(upload_url)
    options = dict(parse_qsl(parts.query))
    if not parts.netloc or options.keys() - _OPTIONS:
        raise SettingError(
            f"UPLOAD_URL must be s3://bucket/prefix, with no options but {', '.join(sorted(_OPTIONS))}"
        )
    try:
        store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=cast("S3Config", options),
            client_options={
                "allow_http": options.get("endpoint", "").startswith("http://"),
                "connect_timeout": "2s",
                "timeout": f"{DEADLINE_SECONDS:g}s",
            },
            retry_config={"max_retries": 1},
        )
    except (ObstoreError, ValueError) as error:
        raise SettingError("UPLOAD_URL cannot be used as an S3 address") from error
    return S3Storage(store)


class S3Storage:
    """Files in a bucket; credentials are in the URL or in the usual AWS variables."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def put(self, key: str, content: bytes, *, content_type: str) -> None:
        if not STORAGE_KEY.fullmatch(key):
            raise ValueError(f"not a storage key: {key!r}")
        attributes: dict[str, Any] = {"Content-Type": content_type}
        # One PUT: an interrupted multipart upload would leave parts that cost money.
        upload = obstore.put_async(self._store, key, content, attributes=attributes, use_multipart=False)
        try:
            await _in_time(upload)
        except (ObstoreError, OSError) as error:
            log.warning("storage_write_failed", error=plain_reason(error))
            raise StorageUnavailable from error

    async def get(self, key: str) -> StoredFile:
        if not STORAGE_KEY.fullmatch(key):
            raise FileMissing(key)
        first, size = await self._part(key, 0)
        return StoredFile(size, self._chunks(key, first, size))

    async def delete(self, key: str) -> None:
        if not STORAGE_KEY.fullmatch(key):
            return
        try:
            await _in_time(obstore.delete_async(self._store, key))
        except FileNotFoundError:
            return
        except (ObstoreError, OSError) as error:
            raise unavailable(error) from error

    async def listing(self, *, after: str = "") -> AsyncIterator[ListedFile]:
        pages = aiter(obstore.list(self._store, offset=after or None, chunk_size=LISTED_AT_ONCE))
        try:
            while page := await _in_time(anext(pages, None)):
                for file in page:
                    yield ListedFile(file["path"], file["size"], file["last_modified"])
        except (ObstoreError, OSError) as error:
            raise unavailable(error) from error

    async def size_of(self, key: str) -> int:
        if not STORAGE_KEY.fullmatch(key):
            raise FileMissing(key)
        try:
            return int((await _in_time(obstore.head_async(self._store, key)))["size"])
        except FileNotFoundError as error:
            raise FileMissing(key) from error
        except (ObstoreError, OSError) as error:
            raise unavailable(error) from error

    async def copy(self, key: str, to: str) -> None:
        if not STORAGE_KEY.fullmatch(to):
            raise ValueError(f"not a storage key: {to!r}")
        if not STORAGE_KEY.fullmatch(key):
            raise FileMissing(key)
        try:
            await _in_time(obstore.copy_async(self._store, key, to))
        except FileNotFoundError as error:
            raise FileMissing(key) from error
        except (ObstoreError, OSError) as error:
            log.warning("storage_write_failed", error=plain_reason(error))
            raise StorageUnavailable from error

    async def presigned_put(self, key: str, *, expires_in: timedelta) -> str:
        if not STORAGE_KEY.fullmatch(key):
            raise ValueError(f"not a storage key: {key!r}")
        try:
            return await _in_time(obstore.sign_async(self._store, "PUT", key, expires_in))
        except (ObstoreError, OSError) as error:
            raise unavailable(error) from error

    async def drop_drafts(self) -> None:
        """A bucket has no drafts, since a PUT is atomic."""

    async def _chunks(self, key: str, first: bytes, size: int) -> AsyncIterator[bytes]:
        yield first
        for offset in range(len(first), size, _CHUNK_BYTES):
            yield (await self._part(key, offset))[0]

    async def _part(self, key: str, offset: int) -> tuple[bytes, int]:
        """A chunk of the file from the offset, and the size of the file."""
        wanted = (offset, offset + _CHUNK_BYTES)
        try:
            return await _in_time(_fetch(self._store, key, wanted))
        except FileNotFoundError as error:
            raise FileMissing(key) from error
        except (ObstoreError, OSError) as error:
            raise unavailable(error) from error


async def _fetch(store: S3Store, key: str, wanted: tuple[int, int]) -> tuple[bytes, int]:
    found = await obstore.get_async(store, key, options={"range": wanted})
    return bytes(await found.bytes_async()), found.meta["size"]


async def _in_time(call: Awaitable[T]) -> T:
    """The result, within a deadline for the call with its retries and body. TimeoutError is an OSError."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await call
