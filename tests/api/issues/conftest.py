"""Three people of a company, one in each role, who call the issue API."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest

from tests.conftest import SignUp
from tests.factories import Person, make_member

Sql = psycopg.Connection[Any]


class Client:
    """What a program that was written for the issue API sends and reads."""

    def __init__(self, http: httpx.AsyncClient, person: Person) -> None:
        self._http, self.id = http, person.id
        self.headers = dict(person.headers)

    async def send(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {**self.headers, **more.pop("headers", {})}
        return await self._http.request(method, f"/api/v1{path}", json=body, headers=headers, **more)

    async def issue(self, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        response = await self.send(method, path, body, **more)
        assert response.is_success, response.text
        issue: dict[str, Any] = response.json()["issue"]
        return issue

    async def titles(self, **query: Any) -> list[str]:
        response = await self.send("GET", "/issues", params=query)
        assert response.is_success, response.text
        return [issue["title"] for issue in response.json()["issues"]]

    async def refused(
        self, status: int, method: str, path: str, body: Any = None, **more: Any
    ) -> dict[str, Any]:
        response = await self.send(method, path, body, **more)
        assert response.status_code == status, response.text
        error: dict[str, Any] = response.json()["error"]
        return error


@pytest.fixture
async def team(
    client: httpx.AsyncClient, sign_up: SignUp, sql: Sql, bug: dict[str, Any]
) -> tuple[Client, Client, Client]:
    """An admin, a maintainer and a reporter of the company behind the bug."""
    found = []
    for name, role in (("ada", "admin"), ("mae", "member"), ("rita", "reporter")):
        person = await sign_up(name)
        make_member(sql, person, bug["assigned_company_id"], role=role)
        found.append(Client(client, person))
    ada, mae, rita = found
    return ada, mae, rita
