"""Two companies, and people who report to them through the support API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from tests.conftest import SignUp
from tests.factories import Person, make_member, report

Json = dict[str, Any]
Sql = psycopg.Connection[Any]


@dataclass
class Reporter:
    """Somebody who calls the support API, for one company."""

    client: httpx.AsyncClient
    person: Person
    company_id: str

    @property
    def id(self) -> str:
        return self.person.id

    @property
    def headers(self) -> dict[str, str]:
        return {**self.person.headers, "X-Company-ID": self.company_id}

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = self.headers | more.pop("headers", {})
        if body is not None:
            more["json"] = body
        return await self.client.request(method, f"/api/support/{path}", headers=headers, **more)

    async def done(self, method: str, path: str, body: Any = None, **more: Any) -> Json:
        response = await self.call(method, path, body, **more)
        assert response.is_success, response.text
        answer: Json = response.json()
        assert answer["success"] is True
        return answer

    async def refused(
        self, status: int, code: str, method: str, path: str, body: Any = None, **more: Any
    ) -> Json:
        """The house's error, in the form of the support API."""
        response = await self.call(method, path, body, **more)
        assert response.status_code == status, response.text
        answer = response.json()
        assert answer.keys() == {"success", "error"}
        assert answer["success"] is False
        error: Json = answer["error"]
        assert error["code"] == code, error
        assert {"message", "timestamp"} <= error.keys()
        return error

    async def report(self, **fields: Any) -> str:
        """Send a report that fits, and give its number."""
        answer = await self.done("POST", "report", a_support_report(**fields))
        number: str = answer["ticket_number"]
        return number

    async def shown(self, number: str) -> Json:
        found: Json = (await self.done("GET", f"report/{number}"))["report"]
        return found

    async def ticket(self, method: str, path: str, body: Any = None) -> Json:
        """The same person at work with the ticket API."""
        response = await self.client.request(method, f"/api/v1/{path}", json=body, headers=self.headers)
        assert response.is_success, response.text
        answer: Json = response.json()
        return answer


def a_support_report(**changes: Any) -> Json:
    """A report that fits; `changes` replace fields."""
    return {"title": "Export fails", "description": "The **export** ends with an error.", **changes}


Join = Callable[..., Awaitable[Reporter]]


@pytest.fixture
def company_id(bug: Json) -> str:
    found: str = bug["assigned_company_id"]
    return found


@pytest.fixture
async def second_company_id(client: httpx.AsyncClient) -> str:
    other = await report(client, application_name="Ink", application_url="https://ink.example")
    found: str = other["assigned_company_id"]
    return found


@pytest.fixture
def join(client: httpx.AsyncClient, sign_up: SignUp, sql: Sql, company_id: str) -> Join:
    """`await join("mae", "member")` signs somebody up who belongs to the company."""

    async def join(name: str, role: str = "reporter", *, company: str = company_id) -> Reporter:
        person = await sign_up(name)
        make_member(sql, person, company, role=role)
        return Reporter(client, person, company)

    return join


@pytest.fixture
async def rita(join: Join) -> Reporter:
    """A reporter of the company."""
    return await join("rita")


@pytest.fixture
async def mae(join: Join) -> Reporter:
    """A member of the company."""
    return await join("mae", "member")
