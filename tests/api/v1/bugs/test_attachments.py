"""Pictures of a bug, and `/uploads`."""

from __future__ import annotations

import asyncio
import re
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from bugrelay.settings import Settings
from tests.conftest import StartApp
from tests.factories import Person, make_admin, merge_into, register, remove, report
from tests.responses import bad_fields, refused

Bug = dict[str, Any]
MIB = 1024 * 1024


def picture(kind: str = "PNG", *, size: tuple[int, int] = (8, 6), **options: Any) -> bytes:
    file = BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(file, kind, **options)
    return file.getvalue()


def attachments_of(bug: Bug) -> str:
    return f"/api/v1/bugs/{bug['id']}/attachments"


async def attach(
    client: httpx.AsyncClient, person: Person | None, bug: Bug, content: bytes, name: str = "a.png"
) -> httpx.Response:
    files = {"file": (name, content, "application/octet-stream")}
    return await client.post(attachments_of(bug), files=files, headers=person.headers if person else {})


@pytest.fixture
async def mine(client: httpx.AsyncClient, ada: Person) -> Bug:
    return await report(client, ada)


@pytest.mark.parametrize(
    ("kind", "extension"), [("PNG", "png"), ("JPEG", "jpg"), ("GIF", "gif"), ("WEBP", "webp")]
)
async def test_a_picture_is_kept_in_its_format_and_served_inert(
    client: httpx.AsyncClient, ada: Person, mine: Bug, kind: str, extension: str
) -> None:
    mime_type = f"image/{kind.lower()}"
    response = await attach(client, ada, mine, picture(kind), "screen shot.txt")
    assert response.status_code == 201, response.text
    assert response.json()["message"] == "File uploaded successfully"
    attachment = response.json()["attachment"]
    assert attachment.keys() >= {
        "id",
        "bug_id",
        "filename",
        "file_url",
        "file_size",
        "mime_type",
        "uploaded_at",
    }
    assert (attachment["bug_id"], attachment["filename"], attachment["mime_type"]) == (
        mine["id"],
        "screen shot.txt",
        mime_type,
    )
    assert re.fullmatch(rf"/uploads/bugs/[A-Za-z0-9_-]{{22,}}\.{extension}", attachment["file_url"])

    served = await client.get(attachment["file_url"])
    assert served.status_code == 200
    assert served.headers["content-type"] == mime_type
    assert served.headers["x-content-type-options"] == "nosniff"
    policy = served.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert len(served.content) == attachment["file_size"]
    with Image.open(BytesIO(served.content)) as kept:
        assert (kept.format, kept.size) == (kind, (8, 6))
    etag = {"If-None-Match": served.headers["etag"]}
    assert (await client.get(attachment["file_url"], headers=etag)).status_code == 304
    head = await client.head(attachment["file_url"])
    assert (head.status_code, head.headers["content-length"], head.content) == (
        200,
        str(len(served.content)),
        b"",
    )

    detail = (await client.get(f"/api/v1/bugs/{mine['id']}")).json()["bug"]
    assert detail["attachments"] == [attachment]


async def test_metadata_is_removed_and_the_picture_set_upright(
    client: httpx.AsyncClient, ada: Person, mine: Bug
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "CANARY"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    jpeg = picture("JPEG", exif=exif, comment=b"CANARY")
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "CANARY")
    for content, size in ((jpeg, (6, 8)), (picture(pnginfo=text) + b"CANARY<script>", (8, 6))):
        assert b"CANARY" in content
        url = (await attach(client, ada, mine, content)).json()["attachment"]["file_url"]
        served = (await client.get(url)).content
        assert b"CANARY" not in served
        with Image.open(BytesIO(served)) as kept:
            assert not kept.getexif()
            assert kept.size == size


async def test_what_is_no_picture_is_refused_whatever_it_calls_itself(
    client: httpx.AsyncClient, ada: Person, mine: Bug, settings: Settings
) -> None:
    for content in [
        b"",
        b"x",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<html><script>alert(1)</script></html>",
        b"%PDF-1.7\n",
        b"GIF89a",
        b"GIF89a/*" + b"x" * 50 + b"*/=1;alert(1)",
        picture()[:40],
        b"\xff\xd8\xff\xe0" + b"x" * 100,
        picture("BMP"),
        picture("TIFF"),
    ]:
        files = {"file": ("a.png", content, "image/png")}
        response = await client.post(attachments_of(mine), files=files, headers=ada.headers)
        refused(response, 400, "INVALID_FILE_TYPE")
        assert stored_files(settings) == []


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
async def test_a_picture_of_too_many_pixels_is_refused(
    client: httpx.AsyncClient, ada: Person, mine: Bug
) -> None:
    bomb = BytesIO()
    Image.new("1", (5001, 5000)).save(bomb, "PNG")
    refused(await attach(client, ada, mine, bomb.getvalue()), 400, "INVALID_FILE_TYPE")


def stored_files(settings: Settings) -> list[Path]:
    root = Path(settings.upload_url.removeprefix("file://"))
    return [path for path in root.rglob("*") if path.is_file()]


# --- size -----------------------------------------------------------------------------------------------------------


async def test_a_file_of_exactly_the_limit_is_fine_and_one_byte_more_is_not(
    start_app: StartApp, settings: Settings
) -> None:
    async with start_app(max_upload_mb=1) as client:
        ada = await register(client, "ada")
        bug = await report(client, ada)
        for image in (picture(kind) for kind in ("PNG", "JPEG", "GIF", "WEBP")):
            full = image + b"\0" * (MIB - len(image))
            kept = await attach(client, ada, bug, full)
            assert kept.status_code == 201, kept.text
        response = await attach(client, ada, bug, full + b"\0")
        error = refused(response, 400, "FILE_TOO_LARGE")
        assert "1 MiB" in error["message"]
        refused(await attach(client, ada, bug, b"\0" * (5 * MIB)), 400, "FILE_TOO_LARGE")
        assert len(stored_files(settings)) == 4


async def test_a_large_body_is_not_read_to_its_end(start_app: StartApp) -> None:
    async with start_app(max_upload_mb=1) as client:
        ada = await register(client, "ada")
        bug = await report(client, ada)
        given = 0

        async def endless() -> Any:
            nonlocal given
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
            for _ in range(1000):
                given += 1
                yield b"\0" * 100_000

        headers = {**ada.headers, "Content-Type": "multipart/form-data; boundary=b"}
        response = await client.post(attachments_of(bug), content=endless(), headers=headers)
        refused(response, 400, "FILE_TOO_LARGE")


# --- the form -------------------------------------------------------------------------------------------------------


async def test_the_form_must_hold_one_file_named_file(
    client: httpx.AsyncClient, ada: Person, mine: Bug
) -> None:
    path = attachments_of(mine)
    for form in (
        {"files": {"picture": ("a.png", picture())}},
        {"files": {"x": ("", b"")}, "data": {"file": "text"}},
    ):
        assert bad_fields(await client.post(path, headers=ada.headers, **form)) == ["file"]
    boundary = {**ada.headers, "Content-Type": "multipart/form-data; boundary=b"}
    for body in (
        b"",
        b"--b",
        b"nonsense",
        b"--b\r\n",
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx',
    ):
        assert bad_fields(await client.post(path, content=body, headers=boundary)) in (["body"], ["file"])
    many = [(f"part{i}", (None, b"x")) for i in range(20_000)]
    assert bad_fields(await client.post(path, files=many, headers=ada.headers)) == ["body"]


async def test_another_content_type_is_refused(client: httpx.AsyncClient, ada: Person, mine: Bug) -> None:
    path = attachments_of(mine)
    for kind in ("application/json", "image/png", "multipart/mixed; boundary=b", "multipart/form-data", ""):
        response = await client.post(path, content=picture(), headers={**ada.headers, "Content-Type": kind})
        refused(response, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\Users\\me\\shot.png", "shot.png"),
        ("日本語 スクリーン.png", "日本語 スクリーン.png"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("...", "file"),
        ("x" * 300 + ".png", "x" * 251 + ".png"),
    ],
)
async def test_the_name_shown_is_the_senders_without_paths(
    client: httpx.AsyncClient, ada: Person, mine: Bug, sent: str, shown: str
) -> None:
    response = await attach(client, ada, mine, picture(), sent)
    assert response.json()["attachment"]["filename"] == shown


# --- who, how many, and gone again ------------------------------------------------------------------------------------


async def test_only_the_reporter_and_admins_attach_and_take_away(
    client: httpx.AsyncClient, admin: Person, member: Person, sign_up: Any
) -> None:
    reporter, stranger = await sign_up("reporter"), await sign_up("stranger")
    bug = await report(
        client, reporter, application_name="Paper", application_url="https://app.paper.example"
    )
    for person in (reporter, admin):
        attachment = (await attach(client, person, bug, picture())).json()["attachment"]
        path = f"{attachments_of(bug)}/{attachment['id']}"
        for other in (stranger, member):
            refused(await attach(client, other, bug, picture()), 403, "INSUFFICIENT_PERMISSIONS")
            refused(await client.delete(path, headers=other.headers), 403, "INSUFFICIENT_PERMISSIONS")
        assert (await client.delete(path, headers=person.headers)).status_code == 200
    refused(await attach(client, None, bug, picture()), 401, "AUTH_REQUIRED")


async def test_nobody_adds_to_an_anonymous_bug_but_admins(
    client: httpx.AsyncClient, ada: Person, admin: Person, bug: Bug
) -> None:
    refused(await attach(client, None, bug, picture()), 401, "AUTH_REQUIRED")
    refused(await attach(client, ada, bug, picture()), 403, "INSUFFICIENT_PERMISSIONS")
    assert (await attach(client, admin, bug, picture())).status_code == 201


async def test_a_picture_that_was_taken_away_is_gone(
    client: httpx.AsyncClient, ada: Person, mine: Bug, settings: Settings
) -> None:
    attachment = (await attach(client, ada, mine, picture())).json()["attachment"]
    path = f"{attachments_of(mine)}/{attachment['id']}"
    assert (await client.delete(path, headers=ada.headers)).status_code == 200
    refused(await client.get(attachment["file_url"]), 404, "FILE_NOT_FOUND")
    refused(await client.delete(path, headers=ada.headers), 404, "ATTACHMENT_NOT_FOUND")
    assert (await client.get(f"/api/v1/bugs/{mine['id']}")).json()["bug"]["attachments"] == []
    assert stored_files(settings) == []


async def test_an_attachment_of_another_bug_is_not_found(
    client: httpx.AsyncClient, ada: Person, mine: Bug
) -> None:
    attachment = (await attach(client, ada, mine, picture())).json()["attachment"]
    other = await report(client, ada)
    for attachment_id, status, code in (
        (attachment["id"], 404, "ATTACHMENT_NOT_FOUND"),
        (str(uuid4()), 404, "ATTACHMENT_NOT_FOUND"),
        ("5", 400, "INVALID_ID"),
    ):
        response = await client.delete(f"{attachments_of(other)}/{attachment_id}", headers=ada.headers)
        refused(response, status, code)


async def test_files_of_a_removed_or_merged_bug_are_not_served(
    client: httpx.AsyncClient, ada: Person, mine: Bug, sql: psycopg.Connection[Any]
) -> None:
    url = (await attach(client, ada, mine, picture())).json()["attachment"]["file_url"]
    assert (await client.get(url)).status_code == 200
    remove(sql, mine["id"])
    refused(await client.get(url), 404, "FILE_NOT_FOUND")
    sql.execute("UPDATE bugs SET removed_at = NULL")
    merge_into(sql, mine["id"], (await report(client))["id"])
    refused(await client.get(url), 404, "FILE_NOT_FOUND")


async def test_twenty_is_the_most_also_in_a_race(
    client: httpx.AsyncClient, ada: Person, mine: Bug, settings: Settings
) -> None:
    content = picture(size=(2, 2))
    answers = await asyncio.gather(*(attach(client, ada, mine, content) for _ in range(25)))
    assert sorted(answer.status_code for answer in answers) == [201] * 20 + [400] * 5
    refused(next(answer for answer in answers if answer.status_code == 400), 400, "TOO_MANY_ATTACHMENTS")
    assert len(stored_files(settings)) == 20
    detail = (await client.get(f"/api/v1/bugs/{mine['id']}")).json()["bug"]
    assert len({one["file_url"] for one in detail["attachments"]}) == 20


async def test_a_file_that_is_not_there(client: httpx.AsyncClient) -> None:
    for name in [
        "x",
        "x.png",
        "..",
        "%2e%2e%2f%2e%2e",
        "%00.png",
        "a%0a.png",
        "x" * 4000,
        "%ff",
        "a.png%2f..",
        "é.png",
    ]:
        response = await client.get(f"/uploads/bugs/{name}")
        assert response.status_code == 404
        assert response.json()["error"]["code"] in ("FILE_NOT_FOUND", "NOT_FOUND")


async def test_a_stored_file_that_no_row_names_is_not_served(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    folder = Path(settings.upload_url.removeprefix("file://")) / "bugs"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stray.png").write_bytes(picture())
    refused(await client.get("/uploads/bugs/stray.png"), 404, "FILE_NOT_FOUND")


async def test_a_disk_that_cannot_be_written_is_507_and_leaves_no_row(
    start_app: StartApp, settings: Settings, sql: psycopg.Connection[Any], tmp_path: Path
) -> None:
    blocker = tmp_path / "blocked"
    blocker.write_bytes(b"a file where the folder should be")
    async with start_app(upload_url=f"file://{blocker}") as client:
        root = await register(client, "root")
        make_admin(sql, root)
        bug = await report(client)
        refused(await attach(client, root, bug, picture()), 507, "STORAGE_UNAVAILABLE")
        assert sql.execute("SELECT count(*) FROM attachments").fetchone() == (0,)


@pytest.mark.usefixtures("new_connections")
async def test_an_upload_whose_row_cannot_be_written_leaves_no_file(
    start_app: StartApp, settings: Settings, sql: psycopg.Connection[Any]
) -> None:
    async with start_app() as client:
        ada = await register(client, "ada")
        bug = await report(client, ada)
    sql.execute(f"ALTER DATABASE {sql.info.dbname} SET default_transaction_read_only = on")
    try:
        async with start_app() as client:
            refused(await attach(client, ada, bug, picture()), 503, "SERVICE_UNAVAILABLE")
            assert stored_files(settings) == []
    finally:
        sql.execute(f"ALTER DATABASE {sql.info.dbname} RESET default_transaction_read_only")
    assert sql.execute("SELECT count(*) FROM attachments").fetchone() == (0,)
