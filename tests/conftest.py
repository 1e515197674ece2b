"""What tests of the application share: real servers, an empty board for each test, and people to use it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import structlog

from bugrelay.app import create_app
from bugrelay.embedded import temporary
from bugrelay.infra.db import libpq_url
from bugrelay.migrate import migrate
from bugrelay.settings import Settings, load_settings

# Plain lines: the default for a terminal draws every traceback with all its variables, which takes seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(),
    ]
)


@pytest.fixture(autouse=True)
def logging_of_its_own() -> Iterator[None]:
    """A command that a test runs in this process configures logging; the next test has the lines above again."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


PASSWORD = "correct horse battery staple"  # of every user in tests

# Fast settings for tests that are not about speed, limits or hashing.
TEST_ENVIRONMENT = {
    "SECRET_KEY": "a key for tests only, of no value at all",
    "ARGON2_MEMORY_KIB": "64",
    "ARGON2_ITERATIONS": "1",
    "RATE_LIMIT_GENERAL": "off",
    "RATE_LIMIT_BUG_SUBMISSION": "off",
    "RATE_LIMIT_SIGN_IN": "off",
    "RATE_LIMIT_MAIL": "off",
    "NEW_APPLICATIONS_PER_DAY": "off",
}


@dataclass(frozen=True)
class Servers:
    database_url: str
    redis_url: str


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL and Redis: those of DATABASE_URL and REDIS_URL where set, else embedded ones."""
    given = Servers(os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", ""))
    if given.database_url and given.redis_url:
        yield given
        return
    with temporary() as urls:
        yield Servers(given.database_url or urls.database_url, given.redis_url or urls.redis_url)


@pytest.fixture(scope="session")
def database_url(servers: Servers) -> Iterator[str]:
    """A migrated database of this run's own."""
    name = f"bugrelay_test_{os.getpid()}"
    admin_url = libpq_url(servers.database_url)
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = with_database(admin_url, name)
    migrate(load_settings({"DATABASE_URL": url}))
    yield url
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def with_database(url: str, name: str) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(url)
    socket = parts.get("host", "")
    if str(socket).startswith("/"):
        return f"postgresql://{parts['user']}@/{name}?host={socket}"
    return (
        f"postgresql://{parts['user']}:{parts.get('password', '')}@{socket}:{parts.get('port', 5432)}/{name}"
    )


@pytest.fixture
def sql(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to look behind the scenes; each statement commits."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def empty_board(sql: psycopg.Connection[Any]) -> None:
    """No rows in any table."""
    empty(sql)


def empty(sql: psycopg.Connection[Any]) -> None:
    """Delete every row of every table: ten times as fast as TRUNCATE for the few rows that a test leaves.

    As a replica, so that no trigger and no foreign key asks in which order; the tests' user is a superuser.
    """
    tables = sql.execute(
        "SELECT format('%I', tablename) FROM pg_tables"
        " WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'bug_search_era')"
    ).fetchall()
    deletes = "; ".join(f"DELETE FROM {name}" for (name,) in tables)
    # As after TRUNCATE, no total from before counts for anything.
    era = "UPDATE bug_search_era SET era = gen_random_uuid()"
    sql.execute(
        f"SET session_replication_role = replica; {deletes}; {era}; SET session_replication_role = DEFAULT"
    )


@pytest.fixture
def settings(servers: Servers, database_url: str, tmp_path: Path) -> Settings:
    """Settings of the application under test; `replace` them for a test that needs others."""
    urls = {"DATABASE_URL": database_url, "REDIS_URL": servers.redis_url, "BUGRELAY_HOME": str(tmp_path)}
    return load_settings({**TEST_ENVIRONMENT, **urls})


StartApp = Callable[..., Any]


@pytest.fixture
def start_app(settings: Settings, empty_board: None) -> StartApp:
    """`async with start_app(captcha="off") as client:` runs the application in this process, with other settings."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(replace(settings, **changes))
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
        await app.state.platform.start()
        try:
            async with httpx.AsyncClient(
                transport=transport, base_url="http://board.example", timeout=30
            ) as client:
                yield client
        finally:
            await app.state.platform.close()

    return start


@pytest.fixture
async def client(start_app: StartApp) -> AsyncIterator[httpx.AsyncClient]:
    """An anonymous visitor of an empty board."""
    async with start_app() as client:
        yield client


@dataclass(frozen=True)
class Person:
    """A registered user, and the headers that say so."""

    id: str
    username: str
    email: str
    access_token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}


async def register(client: httpx.AsyncClient, username: str, *, email: str | None = None) -> Person:
    """Make an account and sign in to it."""
    address = email or f"{username}@people.example"
    body = {"email": address, "username": username, "password": PASSWORD}
    response = await client.post("/api/v1/auth/register", json=body)
    assert response.status_code == 201, response.text
    answer = response.json()
    return Person(answer["user"]["id"], username, address, answer["access_token"], answer["refresh_token"])


def a_report(**changes: Any) -> dict[str, Any]:
    """A report that fits; `changes` replace fields."""
    return {
        "title": "Crash when saving a draft",
        "description": "Saving a draft closes the window at once.",
        "application_name": "Notebook",
        "recaptcha_token": "a token that passes in development",
        **changes,
    }


async def report(client: httpx.AsyncClient, person: Person | None = None, **changes: Any) -> dict[str, Any]:
    """Report a bug and give it as it was answered."""
    headers = person.headers if person else {}
    response = await client.post("/api/v1/bugs", json=a_report(**changes), headers=headers)
    assert response.status_code == 201, response.text
    bug: dict[str, Any] = response.json()["bug"]
    return bug


def make_admin(sql: psycopg.Connection[Any], person: Person) -> None:
    sql.execute("UPDATE users SET is_admin = true WHERE id = %s", (person.id,))


def make_member(
    sql: psycopg.Connection[Any], person: Person, company_id: str, *, role: str = "member"
) -> None:
    """Put the person into the company, and verify the company."""
    sql.execute("UPDATE companies SET verified = true, verified_at = now() WHERE id = %s", (company_id,))
    sql.execute(
        "INSERT INTO company_members (id, company_id, user_id, role) VALUES (gen_random_uuid(), %s, %s, %s)",
        (company_id, person.id, role),
    )


SignUp = Callable[..., Awaitable[Person]]


@pytest.fixture
def sign_up(client: httpx.AsyncClient) -> SignUp:
    """`await sign_up("ada")` registers a person on this test's board."""

    async def sign_up(username: str, **details: Any) -> Person:
        return await register(client, username, **details)

    return sign_up
