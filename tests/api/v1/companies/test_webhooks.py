"""Webhooks as a company's admins make, change and see them."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from tests.api.v1.companies.conftest import Sql
from tests.conftest import SignUp
from tests.factories import Person, make_member
from tests.responses import refused

HOOK = {"url": "https://hooks.paper.example/bugs?team=1", "events": ["bug.created", "status.changed"]}


class Webhooks:
    """The webhooks of a company, as somebody calls them."""

    def __init__(self, client: httpx.AsyncClient, company_id: str, person: Person) -> None:
        self._client = client
        self._path = f"/api/v1/companies/{company_id}/webhooks"
        self._headers = person.headers

    async def call(self, method: str, path: str = "", body: Any = None, **query: Any) -> httpx.Response:
        return await self._client.request(
            method, f"{self._path}{path}", json=body, params=query, headers=self._headers
        )

    async def done(self, method: str, path: str = "", body: Any = None, **query: Any) -> dict[str, Any]:
        response = await self.call(method, path, body, **query)
        assert response.is_success, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def add(self, **changes: Any) -> dict[str, Any]:
        return await self.done("POST", body={**HOOK, **changes})


@pytest.fixture
def webhooks(client: httpx.AsyncClient, company: str, boss: Person) -> Webhooks:
    return Webhooks(client, company, boss)


async def test_a_webhook_is_added_and_its_secret_shown_once(
    webhooks: Webhooks, sql: Sql, company: str
) -> None:
    answer = await webhooks.add()
    webhook = answer["webhook"]
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", answer["secret"])
    assert webhook | HOOK == webhook
    assert (webhook["company_id"], webhook["enabled"], webhook["include_internal"]) == (company, True, False)
    assert (await webhooks.done("GET", f"/{webhook['id']}"))["webhook"] == webhook
    listed = await webhooks.call("GET")
    assert listed.json()["webhooks"] == [webhook]
    assert answer["secret"] not in listed.text
    stored = sql.execute("SELECT w::text FROM webhooks w").fetchall()
    assert answer["secret"] not in str(stored)


async def test_a_webhook_is_changed_and_removed(webhooks: Webhooks, sql: Sql) -> None:
    webhook = (await webhooks.add())["webhook"]
    path = f"/{webhook['id']}"
    change = {"events": ["bug.voted", "*"], "include_internal": True}
    changed = (await webhooks.done("PATCH", path, change))["webhook"]
    assert (changed["events"], changed["include_internal"], changed["url"]) == (["*"], True, HOOK["url"])
    sql.execute("UPDATE webhooks SET enabled = false, disabled_reason = 'gone', failing_since = now()")
    enabled = (await webhooks.done("PATCH", path, {"enabled": True}))["webhook"]
    assert (enabled["enabled"], enabled["disabled_reason"], enabled["failing_since"]) == (True, None, None)
    assert (await webhooks.done("PATCH", path, {"enabled": False}))["webhook"]["enabled"] is False
    await webhooks.done("DELETE", path)
    refused(await webhooks.call("GET", path), 404, "WEBHOOK_NOT_FOUND")
    assert (await webhooks.done("GET"))["pagination"]["total"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.paper.example/", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://",
        "https://user:secret@hooks.paper.example/", "https://hooks.paper.example:22/", "javascript:alert(1)",
        "https://hooks.paper.example/" + "x" * 480, "https://hooks.paper.example/\u202e", "", None, 7,
    ],
)  # fmt: skip
async def test_a_url_that_nobody_would_be_posted_to_is_refused(webhooks: Webhooks, url: Any) -> None:
    fields = refused(await webhooks.call("POST", body={**HOOK, "url": url}), 400, "VALIDATION_ERROR")[
        "fields"
    ]
    assert [field["field"] for field in fields] == ["url"]


async def test_unknown_event_types_are_refused_by_index(webhooks: Webhooks) -> None:
    for events, named in (
        (["bug.created", "bug.eaten"], "events[1]"),
        ([], "events"),
        (["*"] * 51, "events"),
        (["*", 1], "events[1]"),
    ):
        fields = refused(
            await webhooks.call("POST", body={**HOOK, "events": events}), 400, "VALIDATION_ERROR"
        )["fields"]
        assert [field["field"] for field in fields] == [named]


async def test_a_company_has_twenty_webhooks_and_not_one_more(webhooks: Webhooks, sql: Sql) -> None:
    for _ in range(17):
        await webhooks.add()
    answers = await asyncio.gather(*(webhooks.call("POST", body=HOOK) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 409, 409, 409]
    refused(await webhooks.call("POST", body=HOOK), 409, "TOO_MANY_WEBHOOKS")
    assert sql.execute("SELECT count(*) FROM webhooks").fetchone() == (20,)


async def test_a_secret_is_rotated_and_the_former_one_ends_after_a_day(webhooks: Webhooks, sql: Sql) -> None:
    added = await webhooks.add()
    path = f"/{added['webhook']['id']}"
    rotated = await webhooks.done("POST", f"{path}/rotate")
    assert rotated["secret"] != added["secret"]
    assert rotated["webhook"]["former_secret_until"] is not None
    lasts = "SELECT former_secret_until - now() BETWEEN interval '23 h' AND interval '24 h' FROM webhooks"
    assert sql.execute(lasts).fetchone() == (True,)


async def test_a_former_admin_can_neither_read_nor_change_webhooks(
    webhooks: Webhooks, sql: Sql, boss: Person, company: str, sign_up: SignUp
) -> None:
    webhook = (await webhooks.add())["webhook"]
    calls = [
        ("GET", ""), ("POST", ""), ("GET", f"/{webhook['id']}"), ("PATCH", f"/{webhook['id']}"), ("DELETE", f"/{webhook['id']}"),
        ("POST", f"/{webhook['id']}/rotate"), ("POST", f"/{webhook['id']}/test"), ("GET", f"/{webhook['id']}/deliveries"),
    ]  # fmt: skip
    for change, code in (
        ("UPDATE company_members SET role = 'member'", "INSUFFICIENT_PERMISSIONS"),
        ("UPDATE companies SET verified = false", "NOT_MEMBER"),
        ("UPDATE companies SET verified = true; DELETE FROM company_members", "NOT_MEMBER"),
    ):
        sql.execute(change)
        for method, path in calls:
            refused(
                await webhooks.call(method, path, HOOK if method in ("POST", "PATCH") else None), 403, code
            )


async def test_a_webhook_is_not_found_under_another_company(
    webhooks: Webhooks, client: httpx.AsyncClient, sql: Sql, other_boss: Person
) -> None:
    webhook = (await webhooks.add())["webhook"]
    (theirs,) = sql.execute("SELECT id FROM companies WHERE domain = 'ink.example'").fetchone() or ()
    foreign = Webhooks(client, str(theirs), other_boss)
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/rotate"),
        ("POST", "/test"),
        ("GET", "/deliveries"),
    ):
        body = {} if method == "PATCH" else None
        refused(await foreign.call(method, f"/{webhook['id']}{path}", body), 404, "WEBHOOK_NOT_FOUND")


async def test_a_test_is_queued_once_and_not_for_a_disabled_webhook(webhooks: Webhooks) -> None:
    path = f"/{(await webhooks.add())['webhook']['id']}"
    first = (await webhooks.done("POST", f"{path}/test"))["delivery"]
    assert (first["type"], first["state"], first["attempts"]) == ("webhook.test", "pending", [])
    assert (await webhooks.done("POST", f"{path}/test"))["delivery"]["id"] == first["id"]
    await webhooks.done("PATCH", path, {"enabled": False})
    refused(await webhooks.call("POST", f"{path}/test"), 409, "WEBHOOK_DISABLED")
    refused(
        await webhooks.call("POST", f"{path}/deliveries/{first['id']}/redeliver"), 409, "WEBHOOK_DISABLED"
    )


async def test_deliveries_are_walked_by_cursors_and_filtered_by_state(webhooks: Webhooks, sql: Sql) -> None:
    webhook_id = (await webhooks.add())["webhook"]["id"]
    sql.execute(
        "INSERT INTO webhook_deliveries (id, webhook_id, stream, seq, type, state, next_at)"
        " SELECT gen_random_uuid(), %s, gen_random_uuid(), n, 'bug.created',"
        "  CASE WHEN n %% 3 = 0 THEN 'failed' ELSE 'delivered' END, NULL FROM generate_series(1, 25) AS n",
        (webhook_id,),
    )
    sql.execute(
        "INSERT INTO webhook_attempts (id, delivery_id, at, ms, status, response)"
        " SELECT gen_random_uuid(), id, now() + n * interval '1 s', 5, 500, n::text"
        " FROM webhook_deliveries, generate_series(1, 25) AS n"
    )
    path, seen, query = f"/{webhook_id}/deliveries", [], {"limit": 10}
    while True:
        page = await webhooks.done("GET", path, **query)
        seen += [delivery["id"] for delivery in page["deliveries"]]
        assert page["pagination"]["total"] == 25
        if page["pagination"]["next_cursor"] is None:
            break
        query = {"limit": 10, "cursor": page["pagination"]["next_cursor"]}
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 25
    attempts = page["deliveries"][0]["attempts"]
    assert [attempt["response"] for attempt in attempts] == [str(n) for n in range(6, 26)]
    failed = await webhooks.done("GET", path, state="failed", limit=100)
    assert failed["pagination"]["total"] == len(failed["deliveries"]) == 8
    for query in ({"cursor": "made-up"}, {"state": "lost"}, {"limit": 101}):
        refused(await webhooks.call("GET", path, **query), 400, "VALIDATION_ERROR")
    assert (await webhooks.done("GET", path, page=3, limit=10))["deliveries"][0]["id"] == seen[20]


async def test_a_new_team_inherits_no_webhook_and_the_former_team_keeps_none(
    webhooks: Webhooks,
    client: httpx.AsyncClient,
    company: str,
    sql: Sql,
    sign_up: SignUp,
    claim_by_mail: Any,
    boss: Person,
) -> None:
    """A user who claims the domain again sees no URL of the former team, and sends it nothing."""
    await webhooks.add()
    for claimant, remaining in ((boss, 1), (await sign_up("newcomer"), 0)):
        sql.execute("UPDATE companies SET verified = false")
        token = await claim_by_mail(claimant, company, "boss@paper.example")
        verify = f"/api/v1/companies/{company}/verify"
        response = await client.post(verify, json={"token": token}, headers=claimant.headers)
        assert response.status_code == 200, response.text
        assert sql.execute("SELECT count(*) FROM webhooks").fetchone() == (remaining,)
    removals = "SELECT user_id::text, after FROM audit_logs WHERE action = 'webhook_remove'"
    assert sql.execute(removals).fetchall() == [(claimant.id, None)]


async def test_erased_and_left_admins_leave_the_companys_webhooks(
    webhooks: Webhooks, sql: Sql, company: str, sign_up: SignUp, client: httpx.AsyncClient
) -> None:
    await webhooks.add()
    second = await sign_up("second", email="second@paper.example")
    make_member(sql, second, company, role="admin")
    sql.execute("DELETE FROM company_members WHERE user_id <> %s", (second.id,))
    listed = await Webhooks(client, company, second).done("GET")
    assert listed["pagination"]["total"] == 1


async def test_what_admins_do_is_in_the_audit_log_without_what_urls_and_secrets_hold(
    client: httpx.AsyncClient, webhooks: Webhooks, boss: Person, company: str, root: Person, sql: Sql
) -> None:
    secret_url = "https://hooks.paper.example:8443/services/canary-path?token=canary-query"
    added = await webhooks.add(url=secret_url, events=["bug.created"])
    path = f"/{added['webhook']['id']}"
    for change in ({"include_internal": True, "enabled": False}, {"enabled": False}, {}):
        await webhooks.done("PATCH", path, change)
    moved = {"url": "https://paper.example/canary-path", "events": ["*"]}
    await webhooks.done("PATCH", path, moved)
    rotated = await webhooks.done("POST", f"{path}/rotate")
    await webhooks.done("DELETE", path)
    response = await client.get(
        "/api/v1/admin/audit-logs", params={"resource": "webhook"}, headers=root.headers
    )
    logs = response.json()["logs"]
    origin = "https://hooks.paper.example:8443"
    assert [(log["action"], log["before"], log["after"]) for log in reversed(logs)] == [
        (action, before and {"company_id": company, **before}, after and {"company_id": company, **after})
        for action, before, after in (
            (
                "webhook_add",
                None,
                {"url": origin, "events": ["bug.created"], "include_internal": False, "enabled": True},
            ),
            (
                "webhook_change",
                {"include_internal": False, "enabled": True},
                {"include_internal": True, "enabled": False},
            ),
            (
                "webhook_change",
                {"url": origin, "events": ["bug.created"]},
                {"url": "https://paper.example", "events": ["*"]},
            ),
            ("webhook_rotate", None, {"company_id": company}),
            ("webhook_remove", {"url": "https://paper.example"}, None),
        )
    ]
    assert {(log["resource_id"], log["user"]["id"]) for log in logs} == {(added["webhook"]["id"], boss.id)}
    stored = str(sql.execute("SELECT a::text FROM audit_logs a").fetchall())
    for canary in (
        "canary",
        added["secret"].removeprefix("whsec_"),
        rotated["secret"].removeprefix("whsec_"),
    ):
        assert canary not in stored
