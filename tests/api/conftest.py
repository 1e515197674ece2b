"""People and bugs that most tests of the API begin with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest
import redis

from tests.conftest import Person, Servers, SignUp, make_admin, make_member, report

Bug = dict[str, Any]
MakePerson = Callable[..., Awaitable[Person]]


@pytest.fixture
async def ada(sign_up: SignUp) -> Person:
    """A user with no rights but their own."""
    return await sign_up("ada")


@pytest.fixture
async def admin(sign_up: SignUp, sql: psycopg.Connection[Any]) -> Person:
    person = await sign_up("root")
    make_admin(sql, person)
    return person


@pytest.fixture
async def bug(client: httpx.AsyncClient) -> Bug:
    """An anonymous report on an application at `paper.example`, whose company nobody has verified."""
    return await report(client, application_name="Paper", application_url="https://app.paper.example")


@pytest.fixture
async def member(sign_up: SignUp, sql: psycopg.Connection[Any], bug: Bug) -> Person:
    """A member of the company behind `bug`, which is verified by that."""
    person = await sign_up("grace")
    make_member(sql, person, bug["assigned_company_id"])
    return person


@pytest.fixture
async def others_member(client: httpx.AsyncClient, sign_up: SignUp, sql: psycopg.Connection[Any]) -> Person:
    """A member of another verified company."""
    person = await sign_up("mallory")
    other = await report(client, application_name="Ink", application_url="https://ink.example")
    make_member(sql, person, other["assigned_company_id"])
    return person


@pytest.fixture
def fresh_counts(servers: Servers) -> None:
    """No calls are counted yet by any rate limit."""
    with redis.Redis.from_url(servers.redis_url) as connection:
        for key in connection.scan_iter("bugrelay:limit:*"):
            connection.delete(key)
