"""A bucket that is ill, absent or hung."""

from __future__ import annotations

import time

import pytest

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.storage import bucket as bucket_module
from bugrelay.infra.storage.port import StorageUnavailable
from bugrelay.infra.storage.url import storage_from
from tests.infra.storage.files import KEY, LARGE, PICTURE, keys_of
from tests.infra.storage.s3 import Bucket
from tests.pace import undisturbed


async def test_the_bucket_gets_prefix_and_content_type(bucket: Bucket) -> None:
    await storage_from(bucket.url).put(KEY, LARGE * 3, content_type="image/png")
    assert bucket.files == {f"board/live/{KEY}": (LARGE * 3, "image/png")}


async def test_a_listing_has_all_pages(bucket: Bucket) -> None:
    store = storage_from(bucket.url)
    names = [f"bugs/{index}.png" for index in range(5)]
    for name in names:
        await store.put(name, b"x", content_type="image/png")
    assert await keys_of(store) == names


@pytest.mark.parametrize("status", [403, 500, 503])
async def test_a_failing_bucket_is_507_for_writing_and_503_for_the_rest(bucket: Bucket, status: int) -> None:
    store = storage_from(bucket.url)
    await store.put(KEY, PICTURE, content_type="image/png")
    bucket.status = status
    with pytest.raises(StorageUnavailable):
        await store.put("bugs/other.png", PICTURE, content_type="image/png")
    for call in (store.get(KEY), store.delete(KEY), keys_of(store)):
        with pytest.raises(ServiceUnavailable):
            await call
    bucket.status = 200
    assert await keys_of(store) == [KEY]


async def test_a_bucket_that_is_not_there_is_507() -> None:
    store = storage_from("s3://pics?endpoint=http://127.0.0.1:9&access_key_id=k&secret_access_key=s")
    with pytest.raises(StorageUnavailable):
        await store.put(KEY, PICTURE, content_type="image/png")


async def test_a_hung_bucket_is_given_up_at_the_deadline(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_module, "DEADLINE_SECONDS", 0.4)
    store = storage_from(bucket.url)
    bucket.delay_seconds = 2

    async def give_up() -> None:
        start = time.perf_counter()
        with pytest.raises(StorageUnavailable):
            await store.put(KEY, PICTURE, content_type="image/png")
        with pytest.raises(ServiceUnavailable):
            await store.get(KEY)
        assert time.perf_counter() - start < 1.5

    await undisturbed(give_up, seconds=1.5)
