"""Storage: the same promises kept by a folder and by a bucket, and what happens when either fails."""

import asyncio
import os
import resource
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pytest

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra import storage
from bugrelay.infra.storage import (
    FileMissing,
    LocalStorage,
    S3Storage,
    Storage,
    StorageUnavailable,
    storage_from,
)
from bugrelay.settings import SettingError

KEY = "bugs/Zk3-x_9.png"
PICTURE = bytes(range(256)) * 16
LARGE = os.urandom(3 * 1024 * 1024 + 17)
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


class Bucket(ThreadingHTTPServer):
    """As much of S3 as one bucket `pics` needs: PUT, ranged GET, list in pages of two, bulk delete."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.files: dict[str, tuple[bytes, str]] = {}
        self.status = 200
        self.delay_seconds = 0.0

    @property
    def url(self) -> str:
        return (
            f"s3://pics/board/live?endpoint=http://127.0.0.1:{self.server_port}"
            "&region=eu-central-1&access_key_id=key&secret_access_key=s3cret"
        )


class _Request(BaseHTTPRequestHandler):
    server: Bucket
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Quiet."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _ill(self) -> bool:
        time.sleep(self.server.delay_seconds)
        if self.server.status == 200:
            return False
        self._answer(self.server.status)
        return True

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix("/pics/")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._ill():
            self.server.files[self._key()] = (body, self.headers["Content-Type"])
            self._answer(200, ETag='"1"')

    def do_GET(self) -> None:
        if self._ill():
            return
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            self._list(query)
            return
        if self._key() not in self.server.files:
            self._answer(404)
            return
        body, content_type = self.server.files[self._key()]
        first, last = (int(end) for end in self.headers["Range"].removeprefix("bytes=").split("-"))
        part = body[first : last + 1]
        span = f"bytes {first}-{first + len(part) - 1}/{len(body)}"
        stamp = "Wed, 01 Jan 2025 00:00:00 GMT"
        headers = {"Content_Range": span, "ETag": '"1"', "Last_Modified": stamp, "Content_Type": content_type}
        self._answer(206, part, **headers)

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix, after = (
            query.get("prefix", [""])[0],
            (query.get("continuation-token") or query.get("start-after") or [""])[0],
        )
        names = sorted(name for name in self.server.files if name.startswith(prefix) and name > after)
        more = f"<NextContinuationToken>{names[1]}</NextContinuationToken>" if len(names) > 2 else ""
        items = "".join(
            f"<Contents><Key>{name}</Key><Size>{len(self.server.files[name][0])}</Size>"
            "<LastModified>2025-01-01T00:00:00Z</LastModified></Contents>"
            for name in names[:2]
        )
        self._answer(200, f"<ListBucketResult>{items}{more}</ListBucketResult>".encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._ill():
            return
        names = [node.text or "" for node in ElementTree.fromstring(body).iter() if node.tag.endswith("Key")]
        for name in names:
            self.server.files.pop(name, None)
        done = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
        self._answer(200, f"<DeleteResult>{done}</DeleteResult>".encode())


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = Bucket()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return storage_from(f"file://{tmp_path}/new/uploads")
    return storage_from(request.getfixturevalue("bucket").url)


async def keys_of(store: Storage) -> list[str]:
    return sorted([file.key async for file in store.listing()])


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# --- both ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"x", PICTURE, LARGE], ids=len)
async def test_what_was_put_comes_back(store: Storage, content: bytes) -> None:
    await store.put(KEY, content, content_type="image/png")
    found = await store.get(KEY)
    assert found.size_bytes == len(content)
    assert await found.read() == content


async def test_a_listing_goes_on_behind_a_key(store: Storage) -> None:
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
    with pytest.raises(ValueError, match="not a storage key"):
        await store.put(key, b"x", content_type="image/png")


# --- the folder ---------------------------------------------------------------------------------------------


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
    # The same folder's threads take their turns, so eight more uploads outlast the one given up.
    for index in range(8):
        await local.put(f"bugs/{index}.png", LARGE, content_type="image/png")
    assert sorted(path.name for path in left_in(tmp_path)) == [f"{index}.png" for index in range(8)]


async def test_a_hung_disk_is_507_within_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_DEADLINE_SECONDS", 0.3)
    local = LocalStorage(tmp_path)
    release = threading.Event()
    monkeypatch.setattr(storage.os, "fsync", lambda handle: release.wait(3))
    start = time.perf_counter()
    with pytest.raises(StorageUnavailable):
        await local.put(KEY, PICTURE, content_type="image/png")
    assert time.perf_counter() - start < 1
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


# --- the bucket ---------------------------------------------------------------------------------------------


async def test_the_bucket_gets_prefix_and_content_type(bucket: Bucket) -> None:
    await storage_from(bucket.url).put(KEY, LARGE * 3, content_type="image/png")
    assert bucket.files == {f"board/live/{KEY}": (LARGE * 3, "image/png")}


@pytest.mark.parametrize("status", [403, 500, 503])
async def test_an_ill_bucket_is_507_for_writing_and_503_for_the_rest(bucket: Bucket, status: int) -> None:
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
    monkeypatch.setattr(storage, "_DEADLINE_SECONDS", 0.4)
    store = storage_from(bucket.url)
    bucket.delay_seconds = 2
    start = time.perf_counter()
    with pytest.raises(StorageUnavailable):
        await store.put(KEY, PICTURE, content_type="image/png")
    with pytest.raises(ServiceUnavailable):
        await store.get(KEY)
    assert time.perf_counter() - start < 1.5


# --- the setting --------------------------------------------------------------------------------------------


def test_the_url_chooses_the_store(tmp_path: Path) -> None:
    assert isinstance(storage_from(f"file://{tmp_path}"), LocalStorage)
    assert isinstance(storage_from("s3://pics/board"), S3Storage)


@pytest.mark.parametrize("folder", ["my uploads", "a#b", "what?", "100%"])
async def test_a_folder_may_have_any_name(tmp_path: Path, folder: str) -> None:
    await storage_from(f"file://{tmp_path}/{folder}").put(KEY, b"x", content_type="image/png")
    assert (tmp_path / folder / KEY).read_bytes() == b"x"


async def test_an_escaped_folder_name_is_understood(tmp_path: Path) -> None:
    await storage_from(f"file://localhost{tmp_path}/my%20uploads").put(KEY, b"x", content_type="image/png")
    assert (tmp_path / "my uploads" / KEY).exists()


@pytest.mark.parametrize(
    "url", ["file://relative/path", "s3://", "s3://pics?typo=1", "ftp://x/y", "", "/var/uploads"]
)
def test_a_url_that_cannot_be_used_is_named(url: str) -> None:
    with pytest.raises(SettingError, match="UPLOAD_URL"):
        storage_from(url)
