"""Headers that decide something and come more than once: no two readers may take different ones."""

from __future__ import annotations

from ipaddress import ip_network

import httpx
import pytest

from tests.conftest import StartApp
from tests.factories import Person, a_report, register
from tests.responses import bad_fields, refused

BUGS = "/api/v1/bugs"
Headers = list[tuple[str, str]]


@pytest.mark.parametrize("path", [BUGS, "/api/v1/auth/profile", "/health"])
async def test_two_authorization_headers_are_refused(
    client: httpx.AsyncClient, ada: Person, path: str
) -> None:
    bob = await register(client, "bob")
    mine, theirs = ada.headers["Authorization"], bob.headers["Authorization"]
    for values in ((mine, theirs), (mine, mine), (mine, "Bearer nonsense"), ("", mine), (mine, "")):
        headers: Headers = [("Authorization", value) for value in values]
        error = refused(await client.get(path, headers=headers), 401, "INVALID_TOKEN")
        assert error["message"] == "Authorization must be sent once"
    joined = await client.get(path, headers={"Authorization": f"{mine}, {theirs}"})
    refused(joined, 401, "INVALID_TOKEN")


async def test_a_cached_response_is_not_sent_for_two_authorization_headers(
    client: httpx.AsyncClient, ada: Person
) -> None:
    for _ in range(2):
        assert (await client.get(BUGS)).status_code == 200
    headers: Headers = [("Authorization", "Bearer a"), ("Authorization", ada.headers["Authorization"])]
    refused(await client.get(BUGS, headers=headers), 401, "INVALID_TOKEN")


async def test_two_hosts_are_refused(client: httpx.AsyncClient, start_app: StartApp) -> None:
    hosts: Headers = [("Host", "board.example"), ("Host", "board.example")]
    assert bad_fields(await client.get("/health", headers=hosts)) == ["Host"]
    async with start_app(allowed_hosts=("board.example",)) as strict:
        assert bad_fields(await strict.get("/health", headers=hosts)) == ["Host"]


@pytest.mark.parametrize("types", [("application/json", "text/plain"), ("application/json",) * 2])
async def test_two_types_of_a_body_are_refused(
    client: httpx.AsyncClient, ada: Person, types: tuple[str, str]
) -> None:
    headers: Headers = [("Content-Type", kind) for kind in types]
    refused(await client.post(BUGS, content=b"{}", headers=headers), 415, "UNSUPPORTED_MEDIA_TYPE")
    bug = (await client.post(BUGS, json=a_report(), headers=ada.headers)).json()["bug"]
    boundaries: Headers = [("Content-Type", f"multipart/form-data; boundary={name}") for name in "ab"]
    upload = await client.post(
        f"{BUGS}/{bug['id']}/attachments", content=b"", headers=[*ada.headers.items(), *boundaries]
    )
    refused(upload, 415, "UNSUPPORTED_MEDIA_TYPE")
    forms: Headers = [("Content-Type", "application/x-www-form-urlencoded")] * 2
    page = await client.post("/account/reset-password", content=b"token=a", headers=forms)
    assert page.status_code == 415


async def test_two_idempotency_keys_are_refused(client: httpx.AsyncClient) -> None:
    keys: Headers = [("Idempotency-Key", f"a key that is long enough {i}") for i in range(2)]
    assert bad_fields(await client.post(BUGS, json=a_report(), headers=keys)) == ["Idempotency-Key"]


async def test_of_two_request_ids_the_nearest_proxys_is_taken(client: httpx.AsyncClient) -> None:
    for path in ("/api/v1/config", BUGS, BUGS):
        ids: Headers = [("X-Request-ID", "the-callers"), ("X-Request-ID", "the-proxys")]
        assert (await client.get(path, headers=ids)).headers["x-request-id"] == "the-proxys"
        spoilt: Headers = [("X-Request-ID", "the-callers"), ("X-Request-ID", "no id!")]
        made = (await client.get(path, headers=spoilt)).headers["x-request-id"]
        assert made not in ("the-callers", "no id!")


async def test_forwarded_addresses_in_several_lines_are_one_list(start_app: StartApp) -> None:
    async with start_app(trusted_proxies=(ip_network("127.0.0.0/8"),)) as client:
        ada = await register(client, "ada")
        lines: Headers = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "198.51.100.7, 127.0.0.2")]
        body = {"email": ada.email, "password": "correct horse battery staple"}
        assert (await client.post("/api/v1/auth/login", json=body, headers=lines)).status_code == 200
        sessions = (await client.get("/api/v1/auth/sessions", headers=ada.headers)).json()["sessions"]
    assert sessions[0]["ip_address"] == "198.51.100.7"
