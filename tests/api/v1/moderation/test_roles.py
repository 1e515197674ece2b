"""Moderation is for system admins: everybody else is refused, and nothing changes."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.api.v1.moderation.acts import WHY, Moderator, Sql, comment, dump
from tests.conftest import StartApp
from tests.factories import Person, make_admin, make_member, register
from tests.factories import report as report_bug
from tests.responses import refused

ROUTES = [
    ("GET", "dashboard"), ("GET", "bugs"), ("GET", "audit-logs"), ("POST", "bugs/{bug}/flag"), ("DELETE", "bugs/{bug}"),
    ("POST", "bugs/{bug}/restore"), ("POST", "bugs/merge"), ("POST", "bugs/{bug}/unmerge"),
    ("DELETE", "comments/{comment}"), ("POST", "comments/{comment}/restore"), ("POST", "users/{user}/ban"),
    ("POST", "users/{user}/unban"), ("POST", "companies/{company}/verify"), ("POST", "companies/{company}/unverify"),
    ("PATCH", "applications/{application}"),
]  # fmt: skip


async def test_everybody_else_is_refused_and_nothing_changes(
    client: httpx.AsyncClient, sql: Sql, ada: Person, admin: Person
) -> None:
    bug = await report_bug(client, ada, application_url="https://ink.example")
    other = await report_bug(client)
    member, banned, victim = [await register(client, name) for name in ("mem", "ban", "vic")]
    make_member(sql, member, bug["assigned_company_id"], role="admin")
    names = {
        "bug": bug["id"],
        "comment": await comment(client, ada, bug["id"], "hello"),
        "user": victim.id,
        "company": bug["assigned_company_id"],
        "application": bug["application_id"],
    }
    body = {
        "source_bug_id": bug["id"],
        "target_bug_id": other["id"],
        "company_id": None,
        "reason": "because I can",
    }
    sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (banned.id,))
    before = dump(sql)
    for method, path in ROUTES:
        url = f"/api/v1/admin/{path.format(**names)}"
        refused(await client.request(method, url, json=body), 401, "AUTH_REQUIRED")
        for person, code in (
            (ada, "INSUFFICIENT_PERMISSIONS"),
            (member, "INSUFFICIENT_PERMISSIONS"),
            (banned, "ACCOUNT_BANNED"),
        ):
            refused(await client.request(method, url, json=body, headers=person.headers), 403, code)
    assert dump(sql) == before


async def test_nobody_else_learns_what_there_is(
    client: httpx.AsyncClient, sql: Sql, ada: Person, admin: Person
) -> None:
    """The caller is looked at first: whatever an id names, or does not, the refusal is the same."""
    bug = await report_bug(client, ada, application_url="https://ink.example")
    known = {
        "bug": [bug["id"]],
        "comment": [await comment(client, ada, bug["id"], "hello")],
        "user": [ada.id, admin.id],
        "company": [bug["assigned_company_id"]],
        "application": [bug["application_id"]],
    }
    for method, path in (route for route in ROUTES if "{" in route[1]):
        name = path.partition("{")[2].partition("}")[0]
        answers = []
        for value in (*known[name], str(uuid4())):
            url = f"/api/v1/admin/{path.format(**{name: value})}"
            response = await client.request(method, url, json=WHY, headers=ada.headers)
            error = refused(response, 403, "INSUFFICIENT_PERMISSIONS")
            answers.append({**error, "timestamp": "", "headers": sorted(response.headers)})
        assert all(answer == answers[0] for answer in answers), path


async def test_no_route_of_moderation_is_missing_here(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/docs/openapi.json")).json()["paths"]
    known = {
        (method.upper(), path.removeprefix("/api/v1/admin/"))
        for path, methods in paths.items()
        if path.startswith("/api/v1/admin/")
        for method in methods
        if method != "parameters"
    }
    assert {(method, path.replace("_id}", "}")) for method, path in known} == set(ROUTES)


async def test_a_demoted_admin_is_refused_from_the_next_request_on(
    client: httpx.AsyncClient, sql: Sql, admin: Person
) -> None:
    moderator = Moderator(client, admin)
    assert (await moderator.get("dashboard")).status_code == 200
    sql.execute("UPDATE users SET is_admin = false WHERE id = %s", (admin.id,))
    refused(await moderator.get("dashboard"), 403, "INSUFFICIENT_PERMISSIONS")


@pytest.mark.parametrize(
    ("networks", "address", "status"),
    [
        ((), "203.0.113.7", 200),
        (("203.0.113.0/24",), "203.0.113.7", 200),
        (("203.0.113.0/24",), "203.0.114.7", 403),
        (("10.0.0.0/8", "2001:db8::/32"), "2001:db8:1::5", 200),
        (("10.0.0.0/8", "2001:db8::/32"), "2001:db9::5", 403),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", 200),
    ],
)
async def test_admins_call_from_the_allowed_networks(
    start_app: StartApp, sql: psycopg.Connection[Any], networks: tuple[str, ...], address: str, status: int
) -> None:
    changes = {
        "admin_allowed_networks": tuple(ip_network(one) for one in networks),
        "trusted_proxies": (ip_network("127.0.0.0/8"),),
    }
    async with start_app(**changes) as client:
        admin = await register(client, "root")
        make_admin(sql, admin)
        client.headers["X-Forwarded-For"] = address
        bug = await report_bug(client)
        moderator = Moderator(client, admin)
        assert (await moderator.get("dashboard")).status_code == status
        assert (await moderator.send("DELETE", f"bugs/{bug['id']}", WHY)).status_code == status
        assert (await client.get(f"/api/v1/bugs/{bug['id']}")).status_code == (404 if status == 200 else 200)
        assert (await client.get("/api/v1/auth/profile", headers=admin.headers)).status_code == 200
