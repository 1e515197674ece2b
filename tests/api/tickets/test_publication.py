"""A ticket becomes a public bug: what is shown before, what is published, and that nothing else ever is."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from tests.api.tickets.conftest import Caller
from tests.factories import Person, remove, report
from tests.infra.text import secrets
from tests.roles.world import a_picture, all_rows

Sql = psycopg.Connection[Any]
Bug = dict[str, Any]
TEXT = "The printer beeps twice, and then it is silent."
CANARY = "canary-5512"


@pytest.fixture
def application_id(bug: Bug) -> str:
    found: str = bug["application_id"]
    return found


async def previewed(caller: Caller, path: str) -> dict[str, Any]:
    answer = await caller.call("POST", f"{path}/publication/preview")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def published(caller: Caller, path: str, application_id: str, **more: Any) -> dict[str, Any]:
    """The link of a ticket that is published as it is now."""
    token = (await previewed(caller, path))["token"]
    body = {"token": token, "applicationId": application_id, **more}
    link: dict[str, Any] = await caller.done("POST", f"{path}/publication", body)
    return link


async def reported(caller: Caller, sql: Sql, *, browser: dict[str, Any], **fields: Any) -> str:
    """The path of the ticket of a support report. What its browser said is put there as it is, secrets and all."""
    body = {"title": "It does not print", "description": TEXT, **fields}
    sent = await caller.client.post("/api/support/report", json=body, headers=caller.person.headers)
    assert sent.status_code == 201, sent.text
    ticket_id = sent.json()["report"]["id"]
    sql.execute(
        "UPDATE support_reports SET browser_info = %s WHERE ticket_id = %s", (json.dumps(browser), ticket_id)
    )
    return f"tickets/{sent.json()['ticket_number']}"


async def test_a_preview_shows_what_would_be_public_and_writes_nothing(
    mae: Caller, rita: Caller, sql: Sql
) -> None:
    path = await reported(
        rita,
        sql,
        browser={"name": "Firefox", "version": "128", "platform": "Linux"},
        description="rita: it fails with password=hunter2 since monday",
        steps_to_reproduce="Open https://app.example/?token=abc123def and print",
        severity="high",
    )
    await mae.done("PUT", path, {"tags": ["printing"]})
    before = all_rows(sql)
    shown = await previewed(mae, path)
    assert {table for table, rows in all_rows(sql).items() if rows != before[table]} == set()
    assert shown["bug"] == {
        "title": "It does not print",
        "description": "rita: it fails with password=[redacted:password] since monday\n\n"
        "## Steps to reproduce\n\nOpen https://app.example/?token=[redacted:token] and print",
        "descriptionHtml": shown["bug"]["descriptionHtml"],
        "priority": "high",
        "tags": ["printing"],
        "operatingSystem": "Linux",
        "deviceType": None,
        "appVersion": None,
        "browserVersion": "Firefox 128",
        "reporter": None,
    }
    assert shown["redactions"] == [
        {"path": "description", "kind": "password", "count": 1},
        {"path": "steps", "kind": "token", "count": 1},
    ]
    assert [one["code"] for one in shown["warnings"]] == ["SECRETS_FOUND", "REPORTER_NAMED"]
    await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "POST", f"{path}/publication/preview")


async def test_a_ticket_is_published_as_it_was_previewed_and_once(
    mae: Caller, rita: Caller, bug: Bug, application_id: str, client: httpx.AsyncClient, sql: Sql
) -> None:
    ticket = await rita.ticket(description=TEXT, tags=["printing"])
    path = f"tickets/{ticket['key']}"
    shown = await previewed(mae, path)
    body = {"token": shown["token"], "applicationId": application_id, "carryStatus": True}
    link = await mae.done("POST", f"{path}/publication", body)
    assert (link["kind"], link["carryStatus"], link["status"]) == ("published", True, "open")
    assert (await rita.done("GET", path))["links"] == [link]
    public = (await client.get(f"/api/v1/bugs/{link['bugId']}")).json()["bug"]
    assert public["reporter"] is None
    assert public["reporter_id"] is None
    assert public["application_id"] == application_id
    assert public["assigned_company_id"] == bug["assigned_company_id"]
    assert (public["title"], public["description"], public["tags"]) == (ticket["title"], TEXT, ["printing"])
    (event,) = sql.execute(
        "SELECT actor_id, visibility FROM events WHERE type = 'bug.created' AND bug_id = %s", (link["bugId"],)
    ).fetchall()
    assert event == (None, "public")
    assert sql.execute("SELECT count(*) FROM events WHERE bug_id = %s", (link["bugId"],)).fetchone() == (1,)
    await mae.refused(409, "ALREADY_LINKED", "POST", f"{path}/publication", body)
    remove(sql, link["bugId"])  # from the board: then it may be published anew
    assert (await published(mae, path, application_id))["bugId"] != link["bugId"]


async def test_obstacles_to_a_publication_are_reported(
    mae: Caller,
    boss: Caller,
    rita: Caller,
    application_id: str,
    others_member: Person,
    client: httpx.AsyncClient,
    sql: Sql,
) -> None:
    path = f"tickets/{(await rita.ticket(title='Hm', description='?'))['key']}"
    foreign = await report(client, application_name="Ink", application_url="https://ink.example")
    shown = await previewed(mae, path)
    assert {one["code"] for one in shown["warnings"]} == {"TITLE_TOO_SHORT", "DESCRIPTION_TOO_SHORT"}
    body = {"token": shown["token"], "applicationId": application_id}
    publication = f"{path}/publication"
    details = await mae.refused(400, "VALIDATION_ERROR", "POST", publication, body)
    assert [one["field"] for one in details["fields"]] == ["title", "description"]
    await mae.refused(
        403,
        "INSUFFICIENT_PERMISSIONS",
        "POST",
        publication,
        body | {"applicationId": foreign["application_id"]},
    )
    await mae.refused(404, "APPLICATION_NOT_FOUND", "POST", publication, body | {"applicationId": mae.id})
    await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "POST", publication, body)
    await Caller(client, others_member).refused(404, "TICKET_NOT_FOUND", "POST", publication, body)
    await boss.refused(409, "PREVIEW_OUTDATED", "POST", publication, body)  # it was shown to somebody else
    await mae.refused(409, "PREVIEW_OUTDATED", "POST", publication, body | {"token": "x"})
    for change in ({"title": "The printer beeps", "description": TEXT}, {"internalNotes": "x"}):
        await mae.done("PUT", path, change)
        await mae.refused(409, "PREVIEW_OUTDATED", "POST", publication, body)
    assert sql.execute("SELECT count(*) FROM ticket_links").fetchone() == (0,)
    assert sql.execute("SELECT count(*) FROM bugs WHERE title LIKE 'The printer%'").fetchone() == (0,)
    await published(mae, path, application_id)


async def test_an_application_that_went_to_another_company_takes_no_bug(
    mae: Caller, application_id: str, sql: Sql
) -> None:
    path = f"tickets/{(await mae.ticket(description=TEXT))['key']}"
    token = (await previewed(mae, path))["token"]
    sql.execute("UPDATE applications SET company_id = NULL WHERE id = %s", (application_id,))
    body = {"token": token, "applicationId": application_id}
    await mae.refused(403, "INSUFFICIENT_PERMISSIONS", "POST", f"{path}/publication", body)


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
async def test_of_many_who_publish_a_ticket_at_once_one_does(
    mae: Caller, boss: Caller, application_id: str, sql: Sql, rounds: int
) -> None:
    for _ in range(rounds):
        ticket = await mae.ticket(description=TEXT)
        path = f"tickets/{ticket['key']}"
        bodies = [
            (caller, {"token": (await previewed(caller, path))["token"], "applicationId": application_id})
            for caller in (mae, boss, mae, boss)
        ]
        answers = await asyncio.gather(
            *(caller.call("POST", f"{path}/publication", body) for caller, body in bodies)
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
        assert {a.json()["error"] for a in answers if a.status_code == 409} == {"E_ALREADY_LINKED"}
        found = sql.execute("SELECT count(*) FROM ticket_links WHERE ticket_id = %s", (ticket["id"],))
        assert found.fetchone() == (1,)
    assert sql.execute("SELECT count(*) FROM bugs WHERE title = %s", (ticket["title"],)).fetchone() == (
        rounds,
    )


async def test_a_repeated_request_answers_as_the_first_did(mae: Caller, application_id: str) -> None:
    path = f"tickets/{(await mae.ticket(description=TEXT))['key']}"
    body = {"token": (await previewed(mae, path))["token"], "applicationId": application_id}
    answers = [await mae.call("POST", f"{path}/publication", body, Idempotency_Key="once") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


async def test_a_long_text_is_cut_and_says_so(
    mae: Caller, application_id: str, client: httpx.AsyncClient
) -> None:
    ticket = await mae.ticket(description="All of it. " * 1000)
    path = f"tickets/{ticket['key']}"
    shown = await previewed(mae, path)
    assert len(shown["bug"]["description"]) <= 5000
    assert "DESCRIPTION_CUT" in [one["code"] for one in shown["warnings"]]
    link = await published(mae, path, application_id)
    public = (await client.get(f"/api/v1/bugs/{link['bugId']}")).json()["bug"]
    assert public["description"] == shown["bug"]["description"]


async def test_bugs_that_may_be_the_same_are_named(mae: Caller, bug: Bug) -> None:
    ticket = await mae.ticket(title=bug["title"], description=bug["description"])
    shown = await previewed(mae, f"tickets/{ticket['key']}")
    (warning,) = (one for one in shown["warnings"] if one["code"] == "SIMILAR_BUG")
    assert warning["bugId"] == bug["id"]


async def test_no_planted_secret_and_nothing_internal_is_in_anything_public(
    mae: Caller, rita: Caller, application_id: str, client: httpx.AsyncClient, sql: Sql
) -> None:
    """Secrets of every kind in every published field; and what is not published says a word of its own."""
    rng = random.Random(5512)
    planted = [(secret, text) for _, secret, text in secrets.texts(rng)]
    links = []
    for start in range(0, len(planted), 60):
        part = planted[start : start + 60]
        path = await reported(
            rita,
            sql,
            browser={"name": part[1][1][:80], "version": "1", "platform": part[2][1][:80]},
            title=f"It fails with {part[0][1][:150]}".replace("\n", " "),
            description="\n\n".join(text for _, text in part[:30])[:20_000],
            steps_to_reproduce="\n\n".join(text for _, text in part[30:])[:10_000],
            expected_behavior=CANARY,
            actual_behavior=CANARY,
            page_url=f"https://{CANARY}.example/",
            console_errors=[{"message": CANARY}],
        )
        await mae.done(
            "PUT", path, {"internalNotes": CANARY, "resolutionNotes": CANARY, "department": CANARY}
        )
        await rita.done("POST", f"{path}/comments", {"content": CANARY})
        links.append(await published(mae, path, application_id))
    pages = ("/api/v1/bugs/{}", "/api/v1/bugs/{}/history", "/api/v1/bugs/{}/similar", "/feeds/bugs/{}.atom")
    paths = [page.format(link["bugId"]) for link in links for page in pages]
    seen = [(await client.get(path)).text for path in paths]
    assert rita.person.username not in "\n".join(seen)
    seen.append((await client.get("/api/v1/bugs", params={"limit": 100})).text)
    seen.append((await client.get("/feeds/bugs.atom")).text)
    seen += [
        json.dumps(row)
        for (row,) in sql.execute("SELECT to_jsonb(e) FROM events e WHERE e.visibility = 'public'").fetchall()
    ]
    seen += [json.dumps(row) for (row,) in sql.execute("SELECT to_jsonb(s) FROM bug_search s").fetchall()]
    public = "\n".join(seen)
    forms = {
        form for secret, _ in planted for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])
    }
    assert [form for form in forms if form in public] == []
    assert CANARY not in public
    for secret, _ in planted[::25]:
        found = (await client.get("/api/v1/bugs", params={"search": secret[:60]})).json()
        assert (
            not {bug["id"] for bug in found["bugs"]} & {link["bugId"] for link in links}
            or found["match"] == "some"
        )


async def test_a_screenshot_is_public_only_by_name_and_as_a_file_of_its_own(
    mae: Caller, rita: Caller, application_id: str, client: httpx.AsyncClient, sql: Sql
) -> None:
    picture = base64.b64encode(a_picture()).decode()
    paths = [await reported(rita, sql, browser={}, screenshot_data=picture) for _ in range(2)]
    (name,) = (await previewed(mae, paths[0]))["screenshots"]
    (others,) = (await previewed(mae, paths[1]))["screenshots"]
    body = {"token": (await previewed(mae, paths[0]))["token"], "applicationId": application_id}
    publication = f"{paths[0]}/publication"
    details = await mae.refused(
        400, "VALIDATION_ERROR", "POST", publication, body | {"screenshots": [others]}
    )
    assert [one["field"] for one in details["fields"]] == ["screenshots[0]"]
    link = await mae.done("POST", publication, body | {"screenshots": [name, name]})
    (shown,) = (await client.get(f"/api/v1/bugs/{link['bugId']}")).json()["bug"]["attachments"]
    assert shown["filename"] == "screenshot-1.png"
    served = await client.get(shown["file_url"])
    assert (served.status_code, served.headers["content-type"]) == (200, "image/png")
    keys = sql.execute(
        "SELECT storage_key FROM support_screenshots UNION ALL SELECT storage_key FROM attachments"
    ).fetchall()
    assert len(set(keys)) == 3
    assert name not in str(shown)
    without = await published(mae, paths[1], application_id)
    assert (await client.get(f"/api/v1/bugs/{without['bugId']}")).json()["bug"]["attachments"] == []
