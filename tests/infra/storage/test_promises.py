"""The same promises are kept by a folder and by a bucket."""

from __future__ import annotations

import pytest

from bugrelay.infra.storage.port import FileMissing, Storage
from tests.infra.storage.files import KEY, LARGE, PICTURE, keys_of

NO_KEYS = [
    "",
    "/etc/passwd",
    "../secret",
    "bugs/../../secret",
    "bugs//a.png",
    "bugs/a.png/",
    "bugs/a\0.png",
    "bugs/.hidden",
    ".incoming/abc",
    "bugs/a.png\n",
    "bugs\\a.png",
    "bugs/%2e%2e/a",
    "bugs/é.png",
    "bugs/\ud800.png",
    "x" * 5000,
    "a/" * 3000 + "a",
]


@pytest.mark.parametrize("content", [b"x", PICTURE, LARGE], ids=len)
async def test_what_was_put_comes_back(store: Storage, content: bytes) -> None:
    await store.put(KEY, content, content_type="image/png")
    found = await store.get(KEY)
    assert found.size_bytes == len(content)
    assert await found.read() == content


async def test_a_listing_continues_after_a_key(store: Storage) -> None:
    keys = [f"bugs/{name}.png" for name in ("Z", "_", "a", "b", "c")]
    for key in reversed(keys):
        await store.put(key, b"x", content_type="image/png")
    assert [file.key async for file in store.listing()] == keys
    assert [file.key async for file in store.listing(after=keys[1])] == keys[2:]
    assert [file.key async for file in store.listing(after=keys[4])] == []


async def test_a_large_file_comes_in_chunks(store: Storage) -> None:
    await store.put(KEY, LARGE, content_type="image/png")
    sizes = [len(chunk) async for chunk in (await store.get(KEY)).chunks]
    assert sum(sizes) == len(LARGE)
    assert max(sizes) <= 1024 * 1024


async def test_a_deleted_file_is_missing_and_may_be_deleted_again(store: Storage) -> None:
    await store.put(KEY, PICTURE, content_type="image/png")
    await store.delete(KEY)
    await store.delete(KEY)
    with pytest.raises(FileMissing):
        await store.get(KEY)
    assert await keys_of(store) == []


async def test_all_keys_are_listed(store: Storage) -> None:
    assert await keys_of(store) == []
    names = [f"bugs/{index}.png" for index in range(5)] + ["avatars/x.webp", "plain"]
    for name in names:
        await store.put(name, b"x", content_type="image/png")
    assert await keys_of(store) == sorted(names)


@pytest.mark.parametrize("key", NO_KEYS, ids=lambda key: repr(key)[:30])
async def test_a_key_of_another_shape_names_nothing(store: Storage, key: str) -> None:
    with pytest.raises(FileMissing):
        await store.get(key)
    await store.delete(key)
    with pytest.raises(FileMissing):
        await store.size_of(key)
    with pytest.raises(FileMissing):
        await store.copy(key, KEY)
    with pytest.raises(ValueError, match="not a storage key"):
        await store.put(key, b"x", content_type="image/png")
    with pytest.raises(ValueError, match="not a storage key"):
        await store.copy(KEY, key)


async def test_a_copy_is_what_the_file_was_and_stays_so(store: Storage) -> None:
    await store.put("incoming/a", LARGE, content_type="image/png")
    assert await store.size_of("incoming/a") == len(LARGE)
    await store.copy("incoming/a", KEY)
    await store.put("incoming/a", b"another", content_type="image/png")
    assert await (await store.get(KEY)).read() == LARGE
    await store.delete("incoming/a")
    assert await keys_of(store) == [KEY]
    for missing in (store.copy("incoming/a", "bugs/other.png"), store.size_of("incoming/a")):
        with pytest.raises(FileMissing):
            await missing
    assert await keys_of(store) == [KEY]
