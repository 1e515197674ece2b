"""Somebody without a credential puts one file under one key, as long as a URL says so."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx

from bugrelay.infra.storage.port import ReceivingStorage
from bugrelay.infra.storage.url import storage_from
from tests.infra.storage.files import KEY, LARGE, PICTURE
from tests.infra.storage.s3_server import S3Server


async def test_a_bucket_takes_one_file_at_a_presigned_url_until_it_expires(s3_server: S3Server) -> None:
    store = storage_from(s3_server.new_upload_url())
    assert not isinstance(store, ReceivingStorage)
    url = await store.presigned_put(KEY, expires_in=timedelta(minutes=5))
    assert url is not None
    async with httpx.AsyncClient() as stranger:
        for content in (PICTURE, LARGE):  # it signs no size
            put = await stranger.put(url, content=content, headers={"Content-Type": "text/plain"})
            assert put.status_code == 200
            assert await (await store.get(KEY)).read() == content
        for method, address in (
            ("PUT", url.replace("Zk3", "Zk4")),
            ("PUT", url.partition("?")[0]),
            ("PUT", url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000")),
            ("GET", url),
            ("DELETE", url),
        ):
            assert (await stranger.request(method, address, content=b"x")).status_code == 403
        short = await store.presigned_put(KEY, expires_in=timedelta(seconds=1))
        assert short is not None
        while (await stranger.put(short, content=LARGE)).status_code == 200:
            await asyncio.sleep(0.2)
    assert await store.size_of(KEY) == len(LARGE)


async def test_a_folder_has_no_address_and_receives_through_us(tmp_path: Path) -> None:
    store = storage_from(f"file://{tmp_path}")
    assert isinstance(store, ReceivingStorage)
    assert await store.presigned_put(KEY, expires_in=timedelta(minutes=5)) is None
