"""Files of tickets: announced, put, completed, served inert, deleted; in a folder and in a bucket alike."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from PIL import ExifTags, Image

from bugrelay.domain.tickets.service import attachments
from bugrelay.domain.tickets.service.file_links import new_link
from bugrelay.http import request_timeout
from bugrelay.infra.storage.folder import LocalStorage
from bugrelay.infra.storage.port import StoredFile
from tests.api.tickets.files.desk import LOG, Desk, picture
from tests.factories import Person
from tests.responses import refused

MIB = 1024 * 1024


def refused_as(response: Any, status: int, code: str) -> None:
    """In the form of the ticket API."""
    assert (response.status_code, response.json()["error"]) == (status, f"E_{code}"), response.text


async def test_a_file_is_announced_put_completed_served_and_deleted(desk: Desk) -> None:
    announced = (await desk.announce("reporter")).json()
    attachment = announced["attachment"]
    assert announced["method"] == "PUT"
    assert announced["headers"] == {"Content-Type": "text/plain"}
    assert attachment["ticketId"] == desk.tickets["reporter"]
    assert (attachment["filename"], attachment["size"]) == ("trace.log", len(LOG))
    assert (attachment["status"], attachment["downloadUrl"]) == ("pending", None)
    refused_as(await desk.complete(announced, "reporter"), 409, "UPLOAD_MISSING")
    assert (await desk.put(announced, LOG)).status_code == 200
    listed = {"ticketId": desk.tickets["reporter"]}
    assert (await desk.call("GET", "attachments", "reporter", params=listed)).json()["attachments"] == []

    completed = (await desk.complete(announced, "reporter")).json()["attachment"]
    assert completed["status"] == "ready"
    assert completed["uploadedBy"]["username"] == "paper-reporter"
    (stored,) = await desk.stored()
    assert re.fullmatch(r"tickets/[A-Za-z0-9_-]{43}\.bin", stored)
    served = await desk.fetch(completed["downloadUrl"])
    assert served.content == LOG
    headers = served.headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == "attachment; filename=\"trace.log\"; filename*=UTF-8''trace.log"
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "private, no-store")

    page = (await desk.call("GET", "attachments", "member", params=listed)).json()
    assert [one["id"] for one in page["attachments"]] == [attachment["id"]]
    assert page["pagination"]["totalPages"] == 1
    shown = await desk.call("GET", f"attachments/{attachment['id']}", "member")
    assert (await desk.fetch(shown.json()["attachment"]["downloadUrl"])).content == LOG
    assert (await desk.ticket("reporter"))["attachmentCount"] == 1

    # What is put later changes nothing, and completing again neither.
    await desk.put(announced, b"x" * len(LOG))
    assert (await desk.complete(announced, "reporter")).json()["attachment"]["size"] == len(LOG)
    assert (await desk.fetch(completed["downloadUrl"])).content == LOG
    assert await desk.stored("tickets") == [stored]

    assert (await desk.call("DELETE", f"attachments/{attachment['id']}", "reporter")).status_code == 200
    refused(await desk.fetch(completed["downloadUrl"]), 404, "FILE_NOT_FOUND")
    refused_as(
        await desk.call("GET", f"attachments/{attachment['id']}", "reporter"), 404, "ATTACHMENT_NOT_FOUND"
    )
    assert (await desk.ticket("reporter"))["attachmentCount"] == 0
    assert await desk.stored("tickets") == []
    told = desk.sql.execute(
        "SELECT type, ticket_id::text, visibility, data ->> 'filename' FROM events"
        " WHERE type LIKE 'ticket.file%' ORDER BY seq"
    ).fetchall()
    assert told == [
        ("ticket.file_added", desk.tickets["reporter"], "tenant", "trace.log"),
        ("ticket.file_removed", desk.tickets["reporter"], "tenant", "trace.log"),
    ]


async def test_a_picture_is_cleaned_and_shown_and_must_be_what_it_is_said_to_be(desk: Desk) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "at home"
    photo = picture("JPEG", exif=exif) + b"<script>alert(1)</script>"
    assert b"at home" in photo
    kept = await desk.attach("member", photo, filename="photo.jpg", contentType="image/jpg")
    served = await desk.fetch(kept["downloadUrl"])
    assert served.headers["content-type"] == kept["contentType"] == "image/jpeg"
    assert served.headers["content-disposition"].startswith("inline; ")
    assert len(served.content) == kept["size"]
    assert b"at home" not in served.content
    assert b"script" not in served.content
    assert Image.open(BytesIO(served.content)).size == (8, 6)
    for lie in (picture("JPEG"), b"<html>" * 100, picture("PNG")[:20]):
        announced = (await desk.announce("member", size=len(lie), contentType="image/png")).json()
        await desk.put(announced, lie)
        refused_as(await desk.complete(announced, "member"), 409, "UPLOAD_MISMATCH")
    # Said to be nothing, it is kept as it is, and nobody is shown it.
    plain = await desk.attach("member", photo, contentType="application/octet-stream")
    served = await desk.fetch(plain["downloadUrl"])
    assert (served.content, served.headers["content-type"]) == (photo, "application/octet-stream")
    assert len(await desk.stored("tickets")) == 2


async def test_a_file_of_another_size_than_announced_is_refused(desk: Desk) -> None:
    for content in (LOG + b"x", LOG[:-1]):
        announced = (await desk.announce("member")).json()
        put = await desk.put(announced, content)
        if put.status_code != 200:  # a folder's route refuses what a bucket takes
            refused(put, 409, "UPLOAD_MISMATCH")
        expected = "UPLOAD_MISMATCH" if put.status_code == 200 else "UPLOAD_MISSING"
        refused_as(await desk.complete(announced, "member"), 409, expected)
        # The sender may still put it right.
        assert (await desk.put(announced, LOG)).status_code == 200
        assert (await desk.complete(announced, "member")).status_code == 200
    assert len(await desk.stored()) == 2


async def test_two_who_complete_at_once_make_one_file(desk: Desk) -> None:
    for _ in range(3):
        announced = (await desk.announce("member")).json()
        await desk.put(announced, LOG)
        answers = await asyncio.gather(*(desk.complete(announced, "member") for _ in range(4)))
        assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert (await desk.ticket("member"))["attachmentCount"] == 3
    assert len(await desk.stored()) == 3


async def test_a_file_deleted_while_it_is_completed_leaves_nothing(desk: Desk) -> None:
    await desk.join("admin")  # changes the company, whose row `complete` locks
    for _ in range(3):
        announced = (await desk.announce("member")).json()
        await desk.put(announced, LOG)
        path = f"attachments/{announced['attachment']['id']}"
        completed, deleted = await asyncio.gather(
            desk.complete(announced, "member"), desk.call("DELETE", path, "admin")
        )
        assert completed.status_code in (200, 404, 409), completed.text
        assert deleted.status_code == 200, deleted.text
        refused_as(await desk.call("GET", path, "member"), 404, "ATTACHMENT_NOT_FOUND")
    assert (await desk.ticket("member"))["attachmentCount"] == 0
    assert await desk.stored("tickets") == []


async def test_what_is_put_while_we_look_is_never_served(
    folder_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, get = LocalStorage.copy, LocalStorage.get

    async def copy_of_another(self: LocalStorage, key: str, to: str) -> None:
        await self.put(key, LOG + b"and more", content_type="text/plain")
        await copy(self, key, to)

    async def get_another(self: LocalStorage, key: str) -> StoredFile:
        if key.startswith("incoming/"):
            await self.put(key, picture() * 1000, content_type="image/png")
        return await get(self, key)

    monkeypatch.setattr(LocalStorage, "copy", copy_of_another)
    monkeypatch.setattr(LocalStorage, "get", get_another)
    for content, kind in ((LOG, "text/plain"), (picture(), "image/png")):
        announced = (await folder_desk.announce("member", size=len(content), contentType=kind)).json()
        await folder_desk.put(announced, content)
        refused_as(await folder_desk.complete(announced, "member"), 409, "UPLOAD_MISMATCH")
    assert await folder_desk.stored("tickets") == []


async def test_a_name_is_shown_without_what_acts(folder_desk: Desk) -> None:
    for sent, shown in (
        ('a\r\nSet-Cookie: x="y".txt', 'a Set-Cookie: x="y".txt'),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\notes.txt", "notes.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("отчёт 100%.pdf", "отчёт 100%.pdf"),
        ("x" * 600 + ".log", "x" * 251 + ".log"),
        ("...", "file"),
    ):
        attachment = await folder_desk.attach("member", filename=sent)
        assert attachment["filename"] == shown
        disposition = (await folder_desk.fetch(attachment["downloadUrl"])).headers["content-disposition"]
        plain = r"attachment; filename=\"[^\"\\%/\r\n]+\"; filename\*=UTF-8''[\w%.~-]+"
        assert re.fullmatch(plain, disposition)


async def test_what_does_not_fit_is_not_announced(folder_desk: Desk) -> None:
    for changes in (
        {"size": 0},
        {"size": "1"},
        {"filename": ""},
        {"filename": "a\0b"},
        {"contentType": "text/html\r\nX: y"},
        {"contentType": "nothing"},
        {"ticketId": "nothing"},
    ):
        response = await folder_desk.announce("member", **changes)
        refused_as(response, 400, "VALIDATION_ERROR")
        assert [one["field"] for one in response.json()["details"]["fields"]] == list(changes)
    assert (await folder_desk.announce("member", size=10 * MIB)).status_code == 201
    refused_as(await folder_desk.announce("member", size=10 * MIB + 1), 400, "FILE_TOO_LARGE")


async def test_a_file_is_visible_to_users_who_see_the_ticket(folder_desk: Desk) -> None:
    desk = folder_desk
    attachment = await desk.attach("reporter")
    path, listed = f"attachments/{attachment['id']}", {"ticketId": desk.tickets["reporter"]}
    for who in ("member", "admin", "reporter"):
        assert (await desk.call("GET", path, who)).status_code == 200
    for method, address, request in (
        ("GET", path, {}),
        ("DELETE", path, {}),
        ("POST", f"{path}/complete", {}),
    ):
        refused_as(await desk.call(method, address, "other", **request), 404, "ATTACHMENT_NOT_FOUND")
    refused_as(await desk.call("GET", "attachments", "other", params=listed), 404, "TICKET_NOT_FOUND")
    refused_as(await desk.announce("other", of="reporter"), 404, "TICKET_NOT_FOUND")
    for method, address in (("DELETE", path), ("POST", f"{path}/complete")):
        refused_as(await desk.call(method, address, "member"), 403, "INSUFFICIENT_PERMISSIONS")
    pending = (await desk.announce("reporter")).json()
    refused_as(
        await desk.call("GET", f"attachments/{pending['attachment']['id']}", "member"),
        404,
        "ATTACHMENT_NOT_FOUND",
    )
    assert (await desk.call("DELETE", path, "admin")).status_code == 200


async def test_nothing_of_another_tenant_is_there(
    folder_desk: Desk, second_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = await second_desk.attach("admin")
    path = f"attachments/{theirs['id']}"
    foreign = second_desk.tickets["admin"]
    for method, address in (("GET", path), ("DELETE", path), ("POST", f"{path}/complete")):
        refused_as(await folder_desk.call(method, address, "admin"), 404, "ATTACHMENT_NOT_FOUND")
    refused_as(await folder_desk.announce("admin", ticketId=foreign), 404, "TICKET_NOT_FOUND")
    listed = await folder_desk.call("GET", "attachments", "admin", params={"ticketId": foreign})
    refused_as(listed, 404, "TICKET_NOT_FOUND")
    url = theirs["downloadUrl"].replace(second_desk.company_id, folder_desk.company_id)
    refused(await folder_desk.fetch(url), 404, "FILE_NOT_FOUND")


async def test_a_link_is_good_for_one_file_and_ten_minutes(folder_desk: Desk) -> None:
    desk = folder_desk
    mine, other = await desk.attach("member"), await desk.attach("member")
    url = mine["downloadUrl"]
    key = desk.settings.signing_key

    def made(purpose: Any, holds_for: timedelta) -> str:
        return new_link(
            key,
            purpose,
            base_url=f"{desk.settings.public_url}/uploads/tickets",
            file_id=UUID(mine["id"]),
            company_id=UUID(desk.company_id),
            holds_for=holds_for,
        ).url

    assert (await desk.fetch(made("ticket-file", timedelta(minutes=1)))).content == LOG
    for forged in (
        url.replace(mine["id"], other["id"]),
        url[:-1] + ("A" if url[-1] != "A" else "B"),
        re.sub(r"expires=\d+", "expires=9999999999", url),
        re.sub(r"expires=\d+", "expires=", url),
        url.partition("&signature")[0],
        url.partition("?")[0],
        url + "é",
        made("ticket-file", timedelta(seconds=-1)),
        made("ticket-upload", timedelta(minutes=1)),
    ):
        refused(await desk.fetch(forged), 404, "FILE_NOT_FOUND")
    put = await desk.client.put(desk.path_of(url).replace("/tickets/", "/incoming/"), content=LOG)
    refused(put, 404, "FILE_NOT_FOUND")


async def test_a_former_member_keeps_a_link_until_it_expires_and_gets_no_other(folder_desk: Desk) -> None:
    desk = folder_desk
    url = (await desk.attach("member"))["downloadUrl"]
    attachment_id = url.partition("?")[0].rpartition("/")[2]
    desk.sql.execute("DELETE FROM company_members WHERE user_id = %s", (desk.people["member"].id,))
    refused_as(await desk.call("GET", f"attachments/{attachment_id}", "member"), 404, "COMPANY_NOT_FOUND")
    assert (await desk.fetch(url)).content == LOG
    desk.sql.execute("UPDATE tickets SET removed_at = now()")
    refused(await desk.fetch(url), 404, "FILE_NOT_FOUND")


async def test_ranges_and_repeated_requests_are_answered_in_full(folder_desk: Desk) -> None:
    desk = folder_desk
    url = desk.path_of((await desk.attach("member"))["downloadUrl"])
    for asked in ("bytes=0-10", "bytes=-1", "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 900, 2))):
        served = await desk.client.get(url, headers={"Range": asked})
        assert (served.status_code, served.content) == (200, LOG)
        assert served.headers["accept-ranges"] == "none"
    head = await desk.client.head(url)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(LOG)))


async def test_announced_files_are_limited(folder_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = folder_desk
    monkeypatch.setattr(attachments, "MAX_ATTACHMENTS", 4)
    monkeypatch.setattr(attachments, "MAX_UNFINISHED", 6)
    for who in ("member", "admin", "other"):
        await desk.ticket_of(who)
    answers = await asyncio.gather(*(desk.announce("member") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [400] * 6
    refused_as(await desk.announce("admin", of="member"), 400, "TOO_MANY_ATTACHMENTS")
    answers = await asyncio.gather(*(desk.announce("member", of="admin") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 8
    refused_as(await desk.announce("member", of="other"), 409, "TOO_MANY_UPLOADS")
    assert (await desk.announce("admin")).status_code == 201
    pending = next(answer.json() for answer in answers if answer.status_code == 201)
    path = f"attachments/{pending['attachment']['id']}"
    assert (await desk.call("DELETE", path, "member")).status_code == 200
    assert (await desk.announce("member", of="other")).status_code == 201


async def test_a_large_file_passes_through_without_being_held(
    folder_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_timeout, "BODY_BYTES_HELD", MIB)
    sizes: list[int] = []
    run = LocalStorage.put_chunks

    async def watched(self: LocalStorage, key: str, chunks: AsyncIterator[bytes], **options: Any) -> None:
        async def counted() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                sizes.append(len(chunk))
                yield chunk

        await run(self, key, counted(), **options)

    monkeypatch.setattr(LocalStorage, "put_chunks", watched)
    announced = (await folder_desk.announce("member", size=8 * MIB)).json()

    async def body() -> AsyncIterator[bytes]:
        for _ in range(128):
            yield bytes(64 * 1024)

    assert (await folder_desk.put(announced, body())).status_code == 200
    assert max(sizes) <= 64 * 1024
    assert (await folder_desk.complete(announced, "member")).status_code == 200


async def test_a_sender_who_stalls_is_refused_and_leaves_nothing(
    folder_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_timeout, "BODY_SECONDS", 0.3)
    announced = (await folder_desk.announce("member")).json()

    async def stalling() -> AsyncIterator[bytes]:
        yield LOG[:1000]
        await asyncio.Event().wait()

    refused(await folder_desk.put(announced, stalling()), 400, "VALIDATION_ERROR")
    home = folder_desk.settings.bugrelay_home / "uploads"
    while [path for path in home.rglob("*") if path.is_file()]:
        await asyncio.sleep(0.01)  # cleaned up behind the answer
    refused_as(await folder_desk.complete(announced, "member"), 409, "UPLOAD_MISSING")


async def test_a_link_to_upload_asks_for_no_credential_and_ends(folder_desk: Desk, ada: Person) -> None:
    desk = folder_desk
    announced = (await desk.announce("member")).json()
    path = desk.path_of(announced["uploadUrl"])
    for forged in (path.replace(desk.company_id, announced["attachment"]["id"]), path.partition("?")[0]):
        refused(await desk.client.put(forged, content=LOG), 404, "FILE_NOT_FOUND")
    refused(
        await desk.fetch(announced["uploadUrl"].replace("/incoming/", "/tickets/")), 404, "FILE_NOT_FOUND"
    )
    assert (await desk.put(announced, LOG)).status_code == 200
    assert (await desk.complete(announced, "member")).status_code == 200
    refused(await desk.put(announced, LOG), 404, "FILE_NOT_FOUND")
