"""Who may not use their account: the banned, for as long as it says, and where asked, the unverified."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest

from tests.api.v1.accounts.conftest import AUTH, sign_in
from tests.api.v1.accounts.test_sessions import refresh
from tests.conftest import StartApp
from tests.factories import Person, register, report
from tests.responses import refused

Sql = psycopg.Connection[Any]


async def test_a_ban_holds_at_sign_in_and_on_any_call(
    client: httpx.AsyncClient, ada: Person, sql: Sql
) -> None:
    sql.execute("UPDATE users SET banned_at = now()")
    refused(await sign_in(client, ada.email), 403, "ACCOUNT_BANNED")
    refused(await refresh(client, ada.refresh_token), 403, "ACCOUNT_BANNED")
    for path in (f"{AUTH}/profile", "/api/v1/bugs"):
        refused(await client.get(path, headers=ada.headers), 403, "ACCOUNT_BANNED")


async def test_a_ban_is_revealed_only_with_the_right_password(
    client: httpx.AsyncClient, ada: Person, sql: Sql
) -> None:
    sql.execute("UPDATE users SET banned_at = now()")
    refused(await sign_in(client, ada.email, "not the right one"), 401, "INVALID_CREDENTIALS")


async def test_a_ban_with_an_end_is_over_by_itself(client: httpx.AsyncClient, ada: Person, sql: Sql) -> None:
    bug = await report(client)
    sql.execute("UPDATE users SET banned_at = now(), banned_until = now() + interval '1 hour'")
    refused(await sign_in(client, ada.email), 403, "ACCOUNT_BANNED")
    refused(await client.post(f"/api/v1/bugs/{bug['id']}/vote", headers=ada.headers), 403, "ACCOUNT_BANNED")
    sql.execute("UPDATE users SET banned_until = now() - interval '1 second'")
    assert (await sign_in(client, ada.email)).status_code == 200
    assert (await client.post(f"/api/v1/bugs/{bug['id']}/vote", headers=ada.headers)).status_code == 201


@pytest.mark.parametrize("required", [False, True])
async def test_where_a_verified_address_is_asked_for(start_app: StartApp, sql: Sql, required: bool) -> None:
    async with start_app(require_verified_email=required) as client:
        ada = await register(client, "ada")
        bug = await report(client, application_name="Paper", application_url="https://paper.example")
        calls: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", f"/api/v1/bugs/{bug['id']}/vote", {}),
            ("PUT", f"/api/v1/bugs/{bug['id']}/vote", {}),
            ("POST", f"/api/v1/bugs/{bug['id']}/comments", {"json": {"content": "Same here"}}),
            (
                "POST",
                f"/api/v1/companies/{bug['assigned_company_id']}/claim",
                {"json": {"email": "ada@paper.example"}},
            ),
        ]
        for is_verified in (False, True):
            sql.execute("UPDATE users SET is_email_verified = %s", (is_verified,))
            for method, path, body in calls:
                response = await client.request(method, path, headers=ada.headers, **body)
                if required and not is_verified:
                    refused(response, 403, "EMAIL_NOT_VERIFIED")
                else:
                    assert response.status_code in (200, 201), response.text
