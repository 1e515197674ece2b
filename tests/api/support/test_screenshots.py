"""Screenshots: as base64, in a form, uploaded before; whose they are, where they lie, when they go."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bugrelay.api.support.screenshots import LINKS_PATH
from bugrelay.domain.support.service.screenshots import MAX_UNUSED
from bugrelay.domain.support.tasks import delete_old
from bugrelay.domain.tickets.service.file_links import new_link
from bugrelay.infra.ids import parse_id
from bugrelay.infra.platform import Platform
from bugrelay.infra.storage.port import StorageUnavailable
from bugrelay.infra.storage.url import storage_from
from bugrelay.settings import Settings
from tests.api.support.conftest import Join, Json, Reporter, Sql, a_support_report
from tests.api.tickets.files.desk import Desk, picture
from tests.conftest import StartApp
from tests.factories import PASSWORD, make_member, register, report

PNG = picture()
BASE64 = base64.b64encode(PNG).decode()


async def stored(settings: Settings) -> list[str]:
    return [file.key async for file in storage_from(settings.upload_url).listing()]


async def uploaded(who: Reporter) -> Json:
    return await who.done("POST", "upload-screenshot", files={"screenshot": ("shot.png", PNG)})


def form(picture: bytes = PNG, **fields: Any) -> Json:
    return {"report": (None, json.dumps(a_support_report(**fields))), "screenshot": ("shot.png", picture)}


@pytest.mark.parametrize(
    "data", [BASE64, f"data:image/png;base64,{BASE64}", BASE64.rstrip("="), f" {BASE64}\n"]
)
async def test_a_picture_in_base64_is_cleaned_and_served_by_a_link(
    rita: Reporter, mae: Reporter, settings: Settings, data: str
) -> None:
    number = await rita.report(screenshot_data=data, screenshot_annotations=[{"type": "arrow", "x": 1}])
    (key,) = await stored(settings)
    assert key.startswith("private/")
    for who in (rita, mae):
        shown = await who.shown(number)
        assert shown["screenshot_annotations"] == [{"type": "arrow", "x": 1}]
        assert shown["screenshot_path"].startswith("screenshots/")
        assert key not in json.dumps(shown)
        served = await who.client.get(Desk.path_of(shown["screenshot_url"]))
        assert (served.status_code, served.headers["content-type"]) == (200, "image/png")
        assert served.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert served.headers["cache-control"] == "private, no-store"
    for path in (
        f"/uploads/{key}",
        f"/uploads/bugs/{key.partition('/')[2]}",
        f"/uploads/{shown['screenshot_path']}",
    ):
        assert (await rita.client.get(path, headers=rita.headers)).status_code == 404


async def test_a_form_has_the_report_and_its_picture_in_parts(rita: Reporter) -> None:
    sent = await rita.call("POST", "report", files=form(console_errors=[{"a": 1}]))
    assert sent.status_code == 201, sent.text
    shown = await rita.shown(sent.json()["ticket_number"])
    assert shown["screenshot_url"] is not None
    assert shown["console_errors"] == [{"a": 1}]
    blob = {"report": ("blob", json.dumps(a_support_report()), "application/json")}
    without = await rita.call("POST", "report", files=blob)
    assert without.status_code == 201, without.text
    assert (await rita.shown(without.json()["ticket_number"]))["screenshot_url"] is None


async def test_an_upload_becomes_the_picture_of_one_report(rita: Reporter, settings: Settings) -> None:
    upload = await uploaded(rita)
    assert upload.keys() == {"success", "filename", "path", "url"}
    assert upload["filename"].startswith("temp_")
    assert upload["filename"].endswith(".png")
    assert upload["path"] == f"screenshots/{upload['filename']}"
    assert (await rita.client.get(Desk.path_of(upload["url"]))).status_code == 200
    number = await rita.report(screenshot_path=upload["path"])
    shown = await rita.shown(number)
    assert shown["screenshot_path"] == upload["path"]
    assert (await rita.client.get(Desk.path_of(shown["screenshot_url"]))).status_code == 200
    await refused_path(rita, upload["path"])
    assert len(await stored(settings)) == 1


async def refused_path(who: Reporter, path: str) -> None:
    error = await who.refused(
        400, "VALIDATION_ERROR", "POST", "report", a_support_report(screenshot_path=path)
    )
    assert [one["field"] for one in error["fields"]] == ["screenshot_path"]


async def test_of_reports_that_name_one_upload_at_once_one_gets_it(rita: Reporter, sql: Sql) -> None:
    path = (await uploaded(rita))["path"]
    body = a_support_report(screenshot_path=path)
    sent = await asyncio.gather(*(rita.call("POST", "report", body) for _ in range(6)))
    assert sorted(one.status_code for one in sent) == [201, *[400] * 5]
    (made,) = [one.json()["ticket_number"] for one in sent if one.is_success]
    assert made.endswith("-0001")
    assert (await rita.report()).endswith("-0002")


async def test_an_upload_of_another_user_is_refused(
    rita: Reporter, mae: Reporter, join: Join, sql: Sql, second_company_id: str
) -> None:
    theirs = await join("otto", company=second_company_id)
    upload = await uploaded(rita)
    for who in (mae, theirs):
        await refused_path(who, upload["path"])
    make_member(sql, rita.person, second_company_id, role="reporter")
    await refused_path(replace(rita, company_id=second_company_id), upload["path"])
    for path in ("screenshots/../private/x.png", "temp_x.png", f"screenshots/temp_{'a' * 43}.png"):
        await refused_path(rita, path)
    sql.execute("UPDATE support_screenshots SET created_at = now() - interval '25 hours'")
    await refused_path(rita, upload["path"])
    assert sql.execute("SELECT count(*) FROM support_reports").fetchone() == (0,)


async def test_a_link_is_valid_for_its_file_and_tenant_for_ten_minutes(
    rita: Reporter, join: Join, second_company_id: str, settings: Settings, sql: Sql
) -> None:
    boss = await join("boss", "admin")
    number = await rita.report(screenshot_data=BASE64)
    url = httpx.URL((await rita.shown(number))["screenshot_url"])
    screenshot_id = parse_id(url.path.rpartition("/")[2])
    assert screenshot_id is not None
    expires = datetime.fromtimestamp(int(url.params["expires"]), UTC) - datetime.now(UTC)
    assert timedelta(minutes=8) < expires <= timedelta(minutes=10)

    def link(company_id: str, **changes: Any) -> httpx.URL:
        given: Json = {
            "holds_for": timedelta(minutes=1),
            "base_url": f"http://board.example{LINKS_PATH}",
        }
        company = parse_id(company_id)
        assert company is not None
        made = new_link(
            settings.signing_key,
            "support-screenshot",
            file_id=screenshot_id,
            company_id=company,
            **given | changes,
        )
        return httpx.URL(made.url)

    assert (await rita.client.get(link(rita.company_id))).status_code == 200
    other = await uploaded(rita)
    refused = [
        link(rita.company_id, holds_for=timedelta(seconds=-1)),
        link(second_company_id),
        url.copy_set_param("company", second_company_id),
        url.copy_set_param("expires", str(int(url.params["expires"]) + 60)),
        url.copy_set_param("signature", "x" * 43),
        url.copy_with(query=b""),
        httpx.URL(other["url"]).copy_with(query=url.query),
        httpx.URL(str(link(rita.company_id)).replace(LINKS_PATH, "/uploads/tickets")),
    ]
    for one in refused:
        response = await rita.client.get(one.copy_with(host="board.example", port=None))
        assert response.status_code == 404, one
    await boss.ticket("DELETE", f"tickets/{number}")
    assert (await rita.client.get(link(rita.company_id))).status_code == 404


async def test_what_is_no_picture_is_refused_and_makes_no_report(
    rita: Reporter, settings: Settings, sql: Sql
) -> None:
    for data in ("no base64!", base64.b64encode(b"no picture").decode(), "data:text/plain,hello", "AAA=A"):
        await rita.refused(400, "INVALID_FILE_TYPE", "POST", "report", a_support_report(screenshot_data=data))
    await rita.refused(400, "VALIDATION_ERROR", "POST", "report", a_support_report(screenshot_data=5))
    await rita.refused(400, "INVALID_FILE_TYPE", "POST", "report", files=form(b""))
    await rita.refused(400, "VALIDATION_ERROR", "POST", "report", files={"screenshot": ("shot.png", PNG)})
    await rita.refused(400, "VALIDATION_ERROR", "POST", "report", files=form(screenshot_data=BASE64))
    await rita.refused(
        400, "INVALID_FILE_TYPE", "POST", "upload-screenshot", files={"screenshot": ("a.png", b"x")}
    )
    await rita.refused(400, "VALIDATION_ERROR", "POST", "upload-screenshot", files={"other": ("a.png", PNG)})
    assert await stored(settings) == []
    assert sql.execute("SELECT count(*) FROM tickets").fetchone() == (0,)


async def test_a_picture_that_is_too_large_or_cannot_be_stored_makes_no_report(
    start_app: StartApp, settings: Settings, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_app(max_screenshot_size_mb=1) as client:
        bug = await report(client, application_name="Paper", application_url="https://paper.example")
        rita = Reporter(client, await register(client, "rita"), bug["assigned_company_id"])
        make_member(sql, rita.person, rita.company_id, role="reporter")
        large = b"\x89PNG" + bytes(1024 * 1024)
        encoded = base64.b64encode(large).decode()
        await rita.refused(
            413, "PAYLOAD_TOO_LARGE", "POST", "report", a_support_report(screenshot_data=encoded)
        )
        await rita.refused(413, "PAYLOAD_TOO_LARGE", "POST", "report", files=form(large))
        await rita.refused(
            413, "PAYLOAD_TOO_LARGE", "POST", "report", a_support_report(screenshot_data=encoded * 9)
        )
        sent = {"screenshot": ("shot.png", large)}
        await rita.refused(413, "PAYLOAD_TOO_LARGE", "POST", "upload-screenshot", files=sent)

        folder = settings.bugrelay_home / "uploads" / "private"
        folder.parent.mkdir(exist_ok=True)
        folder.write_text("a file where the folder would be")
        body = a_support_report(screenshot_data=BASE64)
        await rita.refused(507, StorageUnavailable.code, "POST", "report", body)
        assert sql.execute("SELECT count(*) FROM tickets").fetchone() == (0,)
        await rita.report()


async def test_a_repeated_request_is_compared_by_its_picture_too(rita: Reporter, settings: Settings) -> None:
    headers = {"Idempotency-Key": "with a picture"}
    first = await rita.call("POST", "report", a_support_report(screenshot_data=BASE64), headers=headers)
    again = await rita.call("POST", "report", files=form(), headers=headers)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = form(picture("GIF"))
    await rita.refused(409, "IDEMPOTENCY_CONFLICT", "POST", "report", files=other, headers=headers)
    assert len(await stored(settings)) == 1


async def test_unused_uploads_are_limited_and_deleted(
    rita: Reporter, settings: Settings, sql: Sql, platform: Platform
) -> None:
    used = await uploaded(rita)
    await rita.report(screenshot_path=used["path"])
    for _ in range(MAX_UNUSED):
        await uploaded(rita)
    sent = {"screenshot": ("shot.png", PNG)}
    await rita.refused(409, "TOO_MANY_UPLOADS", "POST", "upload-screenshot", files=sent)
    sql.execute("UPDATE support_screenshots SET created_at = now() - interval '25 hours'")
    await delete_old(platform)
    assert len(await stored(settings)) == 1
    sql.execute("UPDATE support_screenshots SET created_at = now() - interval '91 days'")
    await delete_old(platform)
    assert await stored(settings) == []


async def test_screenshots_are_deleted_with_the_account(
    rita: Reporter, mae: Reporter, settings: Settings
) -> None:
    number = await rita.report(screenshot_data=BASE64)
    await uploaded(rita)
    link = Desk.path_of((await mae.shown(number))["screenshot_url"])
    body = {"password": PASSWORD}
    await rita.client.request("DELETE", "/api/v1/users/me", json=body, headers=rita.headers)
    assert await stored(settings) == []
    assert (await mae.client.get(link)).status_code == 404
    assert (await mae.shown(number))["screenshot_url"] is None
