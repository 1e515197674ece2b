"""Files of issues: sent in one step, in the form of the issue API."""

from __future__ import annotations

import httpx
import pytest

from bugrelay.settings import Settings
from tests.api.tickets.files.desk import LOG, Desk, Sql, new_desk, picture
from tests.responses import bad_fields, refused

MIB = 1024 * 1024


@pytest.fixture
async def desk(client: httpx.AsyncClient, settings: Settings, sql: Sql) -> Desk:
    """A company whose tickets are issues."""
    desk = await new_desk(client, sql, settings)
    made = await desk.call(
        "POST", "projects", "member", json={"key": "ISS", "name": "Issues", "scheme": "issues"}
    )
    desk.project_id = made.json()["project"]["id"]
    return desk


async def send(
    desk: Desk,
    who: str,
    content: bytes,
    name: str = "trace.log",
    kind: str = "text/plain",
    of: str | None = None,
) -> httpx.Response:
    path = f"files/upload/{await desk.ticket_of(of or who)}"
    return await desk.call("POST", path, who, files={"file": (name, content, kind)})


async def test_a_file_is_sent_shown_served_and_deleted(desk: Desk) -> None:
    response = await send(desk, "member", LOG, "../Trace.LOG")
    assert response.status_code == 201, response.text
    file = response.json()["file"]
    assert file == {
        **file,
        "filename": f"{file['id']}.log",
        "original_name": "Trace.LOG",
        "file_size": len(LOG),
        "content_type": "text/plain",
        "issue_id": desk.tickets["member"],
        "uploaded_by": desk.people["member"].id,
    }
    assert "storage_key" not in response.text
    assert "file_path" not in file
    shown = (await desk.call("GET", f"files/{file['id']}", "colleague")).json()["file"]
    assert shown["created_at"] == file["created_at"]
    served = await desk.fetch(shown["download_url"])
    assert (served.content, served.headers["content-type"]) == (LOG, "application/octet-stream")
    refused(await desk.call("DELETE", f"files/{file['id']}", "colleague"), 403, "INSUFFICIENT_PERMISSIONS")
    assert (await desk.call("DELETE", f"files/{file['id']}", "member")).status_code == 200
    refused(await desk.call("GET", f"files/{file['id']}", "member"), 404, "ATTACHMENT_NOT_FOUND")
    assert await desk.stored() == []


async def test_a_picture_is_cleaned_and_a_broken_one_refused(desk: Desk) -> None:
    file = (await send(desk, "member", picture("JPEG") + b"<script>", "a.png", "image/png")).json()["file"]
    assert (file["content_type"], file["filename"]) == ("image/jpeg", f"{file['id']}.png")
    served = await desk.fetch(file["download_url"])
    assert (served.headers["content-type"], b"<script>" in served.content) == ("image/jpeg", False)
    refused(await send(desk, "member", b"<html>", "a.png", "image/png"), 400, "INVALID_FILE_TYPE")
    assert len(await desk.stored()) == 1


async def test_what_cannot_be_a_file_is_refused(desk: Desk) -> None:
    assert bad_fields(await send(desk, "member", b"")) == ["file"]
    refused(await send(desk, "member", bytes(10 * MIB + 1)), 400, "FILE_TOO_LARGE")
    path = f"files/upload/{await desk.ticket_of('member')}"
    refused(await desk.call("POST", path, "member", json={}), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert bad_fields(await desk.call("POST", path, "member", files={"other": ("a", b"x")})) == ["file"]
    for kind, shown in (("nothing", "application/octet-stream"), ("Text/HTML; a=b", "text/html")):
        sent = (await send(desk, "member", LOG, kind=kind)).json()
        assert sent["file"]["content_type"] == shown


async def test_a_file_is_for_those_who_see_the_issue(desk: Desk) -> None:
    refused(await send(desk, "other", LOG, of="member"), 404, "TICKET_NOT_FOUND")
    file = (await send(desk, "member", LOG)).json()["file"]
    for method in ("GET", "DELETE"):
        refused(await desk.call(method, f"files/{file['id']}", "other"), 404, "ATTACHMENT_NOT_FOUND")
    desk.sql.execute("UPDATE companies SET verified = false")
    refused(await desk.call("GET", f"files/{file['id']}", "member"), 404, "COMPANY_NOT_FOUND")
