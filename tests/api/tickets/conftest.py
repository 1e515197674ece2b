"""A tenant at work: an admin, a member, two reporters, and how the ticket API is called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from tests.conftest import SignUp
from tests.factories import Person, make_member

Sql = psycopg.Connection[Any]


@dataclass
class Caller:
    """Somebody who calls the ticket API."""

    client: httpx.AsyncClient
    person: Person

    @property
    def id(self) -> str:
        return self.person.id

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(
            method, f"/api/v1/{path}", json=body, headers=self.person.headers | named
        )

    async def done(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The only thing that the answer holds beside its pagination."""
        response = await self.call(method, path, body, **headers)
        assert response.is_success, response.text
        answer = response.json()
        return next(iter(answer.values()))

    async def refused(
        self, status: int, code: str, method: str, path: str, body: Any = None, **headers: str
    ) -> Any:
        """The details of the error, in the form of the ticket API."""
        response = await self.call(method, path, body, **headers)
        assert response.status_code == status, response.text
        answer = response.json()
        assert set(answer) == {"error", "message", "details"}
        assert answer["error"] == f"E_{code}", answer
        assert {"fields", "timestamp"} <= set(answer["details"])
        return answer["details"]

    async def ticket(self, title: str = "The printer is out of paper", **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = await self.done("POST", "tickets", {"title": title, **fields})
        return made


Join = Callable[..., Awaitable[Caller]]


@pytest.fixture
def join(client: httpx.AsyncClient, sign_up: SignUp, sql: Sql, company_id: str) -> Join:
    """`await join("mae", "member")` signs somebody up who belongs to the company."""

    async def join(name: str, role: str, *, company: str = company_id) -> Caller:
        person = await sign_up(name)
        make_member(sql, person, company, role=role)
        return Caller(client, person)

    return join


@pytest.fixture
def company_id(bug: dict[str, Any]) -> str:
    found: str = bug["assigned_company_id"]
    return found


@pytest.fixture
async def boss(join: Join) -> Caller:
    """An admin of the company."""
    return await join("boss", "admin")


@pytest.fixture
async def mae(join: Join) -> Caller:
    """A member of the company."""
    return await join("mae", "member")


@pytest.fixture
async def rita(join: Join) -> Caller:
    """A reporter of the company."""
    return await join("rita", "reporter")
