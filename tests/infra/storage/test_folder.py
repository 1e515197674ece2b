"""A folder: full, hung, killed in the middle; nothing half is ever found."""

from __future__ import annotations

import asyncio
import os
import resource
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bugrelay.infra.storage import folder
from bugrelay.infra.storage.folder import LocalStorage
from bugrelay.infra.storage.port import FileMissing, StorageUnavailable, WrongSize
from tests.infra.storage.files import KEY, LARGE, PICTURE, chunks_of, keys_of, left_in


async def test_a_folder_is_no_file(tmp_path: Path) -> None:
    local = LocalStorage(tmp_path)
    await local.put(KEY, PICTURE, content_type="image/png")
    for key in ("bugs", f"{KEY[:-4]}", "bugs/none.png"):
        with pytest.raises(FileMissing):
            await local.get(key)
    with pytest.raises(FileMissing):
        await LocalStorage(tmp_path / KEY).get("bugs/x.png")


async def test_a_full_disk_is_507_and_leaves_nothing(tmp_path: Path) -> None:
    local = LocalStorage(tmp_path)
    await local.put("bugs/before.png", b"x", content_type="image/png")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageUnavailable) as caught:
            await local.put(KEY, LARGE, content_type="image/png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (caught.value.code, caught.value.status) == ("STORAGE_UNAVAILABLE", 507)
    assert str(tmp_path) not in caught.value.message
    assert [path.name for path in left_in(tmp_path)] == ["before.png"]
    await local.put(KEY, LARGE, content_type="image/png")


async def test_a_folder_that_cannot_be_made_is_507(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageUnavailable):
        await LocalStorage(tmp_path / "taken" / "uploads").put(KEY, PICTURE, content_type="image/png")


async def test_nobody_else_can_read_what_is_stored(tmp_path: Path) -> None:
    root = tmp_path / "uploads"
    root.mkdir(mode=0o755)
    await LocalStorage(root).put(KEY, PICTURE, content_type="image/png")
    files = {path for path in root.rglob("*") if path.is_file()}
    folders = {root, *root.rglob("*")} - files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


async def test_a_file_appears_whole(tmp_path: Path) -> None:
    local = LocalStorage(tmp_path)
    job = asyncio.create_task(local.put(KEY, LARGE * 5, content_type="image/png"))
    sizes = set()
    while not job.done():
        if (tmp_path / KEY).exists():
            sizes.add((tmp_path / KEY).stat().st_size)
        await asyncio.sleep(0)
    await job
    sizes.add((tmp_path / KEY).stat().st_size)
    assert sizes == {len(LARGE) * 5}


async def test_an_upload_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    local = LocalStorage(tmp_path)
    job = asyncio.create_task(local.put(KEY, LARGE * 5, content_type="image/png"))
    await asyncio.sleep(0.001)
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    await local.put("bugs/next.png", PICTURE, content_type="image/png")
    async with asyncio.timeout(30):  # its thread notices when it is next given processor time
        while [path.name for path in left_in(tmp_path)] != ["next.png"]:
            await asyncio.sleep(0.01)


async def test_a_hung_disk_is_507_within_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "DEADLINE_SECONDS", 0.3)
    local = LocalStorage(tmp_path)
    release = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda handle: release.wait(60))
    start = time.perf_counter()
    with pytest.raises(StorageUnavailable):
        await local.put(KEY, PICTURE, content_type="image/png")
    assert time.perf_counter() - start < 30
    release.set()


async def test_drafts_of_a_killed_process_are_no_files_and_go_when_old(tmp_path: Path) -> None:
    await LocalStorage(tmp_path).put(KEY, PICTURE, content_type="image/png")
    old, young = tmp_path / ".incoming" / "old", tmp_path / ".incoming" / "young"
    for draft in (old, young):
        draft.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    local = LocalStorage(tmp_path)
    assert await keys_of(local) == [KEY]
    assert (old.exists(), young.exists()) == (False, True)


async def test_a_file_in_chunks_is_whole_and_of_the_announced_size(tmp_path: Path) -> None:
    local = LocalStorage(tmp_path)
    await local.put_chunks(KEY, chunks_of(LARGE, size=1000), size_bytes=len(LARGE))
    assert await (await local.get(KEY)).read() == LARGE
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield PICTURE

    for chunks in (endless(), chunks_of(LARGE[:-1], size=100_000)):
        with pytest.raises(WrongSize):
            await local.put_chunks("bugs/other.png", chunks, size_bytes=len(LARGE))
    assert read == len(LARGE) // len(PICTURE) + 1
    assert left_in(tmp_path) == [tmp_path / KEY]


async def test_a_sender_who_goes_away_leaves_nothing(tmp_path: Path) -> None:
    local = LocalStorage(tmp_path)

    async def broken_off() -> AsyncIterator[bytes]:
        yield LARGE
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await local.put_chunks(KEY, broken_off(), size_bytes=len(LARGE) * 2)
    assert left_in(tmp_path) == []


async def test_a_full_disk_is_507_also_in_the_middle_of_a_stream(tmp_path: Path) -> None:
    local = LocalStorage(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(StorageUnavailable):
            await local.put_chunks(KEY, chunks_of(LARGE, size=100_000), size_bytes=len(LARGE))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left_in(tmp_path) == []


async def test_what_is_no_file_is_never_read(tmp_path: Path) -> None:
    """Links out of the folder, links inside it, pipes."""
    local = LocalStorage(tmp_path / "uploads")
    await local.put(KEY, PICTURE, content_type="image/png")
    (tmp_path / "secret").write_bytes(b"secret")
    folder_of_files = (tmp_path / "uploads" / KEY).parent
    (folder_of_files / "out.png").symlink_to(tmp_path / "secret")
    (folder_of_files / "in.png").symlink_to(tmp_path / "uploads" / KEY)
    os.mkfifo(folder_of_files / "pipe.png")
    for name in ("out", "in", "pipe"):
        for call in (local.get, local.size_of, lambda key: local.copy(key, "bugs/copy.png")):
            with pytest.raises(FileMissing):
                await call(f"bugs/{name}.png")
    assert await keys_of(local) == [KEY]
    await local.put("bugs/out.png", b"mine", content_type="image/png")
    assert (tmp_path / "secret").read_bytes() == b"secret"


async def test_old_drafts_go_while_the_process_lives(tmp_path: Path) -> None:
    local = LocalStorage(tmp_path)
    await local.put(KEY, PICTURE, content_type="image/png")
    draft = tmp_path / ".incoming" / "old"
    draft.write_bytes(b"half")
    os.utime(draft, (time.time() - 7200, time.time() - 7200))
    await local.drop_drafts()
    assert left_in(tmp_path) == [tmp_path / KEY]
