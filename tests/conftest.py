"""What tests of the application share: real servers, an empty board for each test, and people to use it."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import psycopg
import pytest
import redis
import structlog
from argon2 import PasswordHasher
from structlog.testing import capture_logs

from bugrelay.app import create_app
from bugrelay.bootstrap import build
from bugrelay.embedded import temporary
from bugrelay.infra.db.database import Connection, libpq_url
from bugrelay.infra.jobs.queue import REQUEST_ID
from bugrelay.infra.platform import Platform
from bugrelay.infra.redis import client as redis_client
from bugrelay.infra.security.passwords import Passwords
from bugrelay.migrate import migrate
from bugrelay.settings import Settings, load_settings
from bugrelay.worker import all_tasks
from tests.commands.runner import Commands
from tests.factories import Person, make_admin, make_member, register, report
from tests.infra.mail.postbox import Postbox
from tests.infra.mail.server import MailServer
from tests.infra.storage.s3_server import S3Server
from tests.kept_connections import KeptConnections

# Plain lines: the default for a terminal draws every traceback with all its variables, which takes seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(),
    ]
)


# An example that takes longer than others is no failure: the machine may have paused.
hypothesis.settings.register_profile(
    "no deadlines", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("no deadlines")


# The files that take longest, the longest first. They mostly wait: for processes that start, for deadlines that pass.
LONGEST = (
    "tests/http/test_openapi.py",
    "tests/faults/test_stopping.py",
    "tests/faults/test_postgres.py",
    "tests/infra/jobs/test_worker.py",
    "tests/faults/test_sockets.py",
    "tests/faults/test_live.py",
    "tests/faults/test_followers.py",
    "tests/faults/test_kill.py",
    "tests/faults/test_pictures.py",
    "tests/faults/test_database.py",
    "tests/commands/test_databases.py",
    "tests/faults/test_events.py",
    "tests/faults/test_replica.py",
    "tests/faults/test_notices.py",
    "tests/domain/github/test_kill.py",
    "tests/commands/test_events.py",
    "tests/faults/test_redis.py",
    "tests/domain/importing/test_import.py",
    "tests/api/tickets/test_links_killed.py",
    "tests/faults/test_readers.py",
    "tests/domain/rules/test_kill.py",
    "tests/faults/test_overload.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the longest files among the others: workers of one run share the machine, and end at the same time."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    longest = [name for name in LONGEST if name in files]
    others = [name for name in files if name not in LONGEST]
    places = {name: number / len(longest) for number, name in enumerate(longest)}
    places |= {name: (number + 1) / len(others) for number, name in enumerate(others)}
    items[:] = [item for name in sorted(files, key=places.__getitem__) for item in files[name]]


@pytest.fixture(autouse=True)
def redis_may_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for Redis than the product: on a busy machine it pauses, and no test is about that but a few.

    Those few ask for `deadlines_of_redis`. Processes of their own have the product's deadlines in any case.
    """
    monkeypatch.setattr(redis_client, "DEADLINE_TICKS", 600)
    monkeypatch.setattr(redis_client, "DEADLINE_SECONDS", 30.0)
    monkeypatch.setattr(redis_client, "CONNECT_SECONDS", 30.0)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)


@pytest.fixture(autouse=True)
def logging_of_its_own() -> Iterator[None]:
    """A command that a test runs in this process configures logging; the next test has the lines above again."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


# Fast settings for tests that are not about speed, limits or hashing.
TEST_ENVIRONMENT = {
    "SECRET_KEY": "a key for tests only, of no value at all",
    "ARGON2_MEMORY_KIB": "64",
    "ARGON2_ITERATIONS": "1",
    "RATE_LIMIT_GENERAL": "off",
    "RATE_LIMIT_BUG_SUBMISSION": "off",
    "RATE_LIMIT_SIGN_IN": "off",
    "RATE_LIMIT_MAIL": "off",
    "RATE_LIMIT_SIMILAR": "off",
    "RATE_LIMIT_FEEDS": "off",
    "ISSUE_REPORT_RATE_LIMIT": "off",
    "NEW_APPLICATIONS_PER_DAY": "off",
    "GITHUB_API_URL": "http://127.0.0.1:9",  # where nobody listens
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
    """A connection for looking at the database directly; each statement commits."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


class Emptier:
    """Empties the database on a connection of its own, which stays open: a new one would load the catalogs each time.

    It stays a replica, too, and runs a function whose statements are planned once.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = self._connect()

    def empty(self) -> None:
        try:
            self._connection.execute("SELECT pg_temp.empty()")
        except psycopg.Error:  # a test has ended all connections, restarted the server, or changed the schema
            self._connection.close()
            self._connection = self._connect()
            self._connection.execute("SELECT pg_temp.empty()")

    def close(self) -> None:
        self._connection.close()

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self._url, autocommit=True)
        body = f"BEGIN {emptying(connection)}; END"
        connection.execute(
            f"CREATE FUNCTION pg_temp.empty() RETURNS void LANGUAGE plpgsql AS $body${body}$body$"
        )  # type: ignore[arg-type]
        connection.execute("SET session_replication_role = replica")
        return connection


@pytest.fixture(scope="session")
def emptier(database_url: str) -> Iterator[Emptier]:
    emptier = Emptier(database_url)
    yield emptier
    emptier.close()


@pytest.fixture
def empty_board(emptier: Emptier) -> None:
    """No rows in any table."""
    emptier.empty()


def empty(sql: psycopg.Connection[Any]) -> None:
    """Delete every row of every table: ten times as fast as TRUNCATE for the few rows that a test leaves.

    As a replica, so that no trigger and no foreign key asks in which order; the tests' user is a superuser.
    """
    statements = emptying(sql)
    sql.execute(
        f"SET session_replication_role = replica; {statements}; SET session_replication_role = DEFAULT"
    )


def emptying(sql: psycopg.Connection[Any]) -> str:
    """The statements that empty all tables of this database."""
    tables = sql.execute(
        "SELECT format('%I', tablename) FROM pg_tables"
        " WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'bug_search_era', 'ticket_search_era')"
    ).fetchall()
    deletes = "; ".join(f"DELETE FROM {name}" for (name,) in tables)
    # As after TRUNCATE, no total from before counts for anything.
    era = "; ".join(
        f"UPDATE {name} SET era = gen_random_uuid()" for name in ("bug_search_era", "ticket_search_era")
    )
    return f"{deletes}; {era}"


@pytest.fixture
def settings(servers: Servers, database_url: str, tmp_path: Path) -> Settings:
    """Settings of the application under test; `replace` them for a test that needs others."""
    urls = {"DATABASE_URL": database_url, "REDIS_URL": servers.redis_url, "BUGRELAY_HOME": str(tmp_path)}
    return load_settings({**TEST_ENVIRONMENT, **urls})


StartApp = Callable[..., Any]


@pytest.fixture(scope="session")
async def kept_connections() -> AsyncIterator[KeptConnections]:
    kept = KeptConnections()
    yield kept
    await kept.close()


@pytest.fixture
def new_connections(kept_connections: KeptConnections) -> Iterator[None]:
    """For a test that changes what a connection is told when it is opened."""
    kept_connections.are_lent = False
    yield
    kept_connections.are_lent = True


@pytest.fixture
def start_app(settings: Settings, empty_board: None, kept_connections: KeptConnections) -> StartApp:
    """`async with start_app(captcha="off") as client:` runs the application in this process, with other settings."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(replace(settings, **changes))
        platform: Platform = app.state.platform
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
        await platform.start()
        try:
            async with (
                kept_connections.lent_to(platform.database, platform.settings),
                httpx.AsyncClient(transport=transport, base_url="http://board.example", timeout=30) as client,
            ):
                try:
                    yield client
                finally:
                    await app.state.live.close()
        finally:
            await platform.close()

    return start


@pytest.fixture
async def client(start_app: StartApp) -> AsyncIterator[httpx.AsyncClient]:
    """An anonymous visitor of an empty board."""
    async with start_app() as client:
        yield client


class HeldHashes:
    """Checks of passwords begin, and end no sooner than they are released."""

    def __init__(self, verify: Callable[..., bool]) -> None:
        self._verify = verify
        self._released = threading.Event()
        self._counting = threading.Lock()
        self._at_once = 0
        self.count = self.most_at_once = 0

    def hold(self, hasher: PasswordHasher, stored: str, password: bytes) -> bool:
        with self._counting:
            self.count += 1
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            # On the event loop, nobody would be there to release it.
            assert self._released.wait(60)
            return self._verify(hasher, stored, password)
        finally:
            with self._counting:
                self._at_once -= 1

    async def begun(self) -> None:
        while not self.count:
            await asyncio.sleep(0.01)

    def release(self) -> None:
        self._released.set()


@pytest.fixture
def held_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldHashes]:
    held = HeldHashes(PasswordHasher.verify)

    def verify(hasher: PasswordHasher, stored: str, password: bytes) -> bool:
        return held.hold(hasher, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    yield held
    held.release()


@dataclass
class Work:
    """What something cost."""

    exchanges: int = 0  # with the database
    hashes: int = 0


WorkCounted = Callable[[], AbstractContextManager[Work]]


@pytest.fixture
def work_counted(monkeypatch: pytest.MonkeyPatch) -> WorkCounted:
    """`with work_counted() as work:` counts what the applications of this process do meanwhile."""

    @contextmanager
    def counted() -> Iterator[Work]:
        work = Work()
        wait, verify = Connection.wait, Passwords.verify

        def counting(exchange: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
            """The same exchange; one that has nothing to wait for, as the ROLLBACK of nothing, is none."""
            try:
                waiting = next(exchange)
            except StopIteration as done:
                return done.value
            work.exchanges += 1
            while True:
                ready = yield waiting
                try:
                    waiting = exchange.send(ready)
                except StopIteration as done:
                    return done.value

        async def counted_wait(
            self: Connection, exchange: Generator[Any, Any, Any], *args: Any, **options: Any
        ) -> Any:
            return await wait(self, counting(exchange), *args, **options)

        async def counted_verify(self: Passwords, stored: str | None, password: str) -> bool:
            work.hashes += 1
            return await verify(self, stored, password)

        with monkeypatch.context() as patch:
            patch.setattr(Connection, "wait", counted_wait)
            patch.setattr(Passwords, "verify", counted_verify)
            yield work

    return counted


SignUp = Callable[..., Awaitable[Person]]


@pytest.fixture
def sign_up(client: httpx.AsyncClient) -> SignUp:
    """`await sign_up("ada")` registers a person on this test's board."""

    async def sign_up(username: str, **details: Any) -> Person:
        return await register(client, username, **details)

    return sign_up


@pytest.fixture
async def platform(
    settings: Settings, empty_board: None, kept_connections: KeptConnections
) -> AsyncIterator[Platform]:
    """What a worker or a command stands on beside the application under test."""
    platform = build(settings)
    await platform.start()
    async with kept_connections.lent_to(platform.database, settings):
        yield platform
    await platform.close()


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
async def bug(client: httpx.AsyncClient) -> dict[str, Any]:
    """An anonymous report on an application at `paper.example`, whose company nobody has verified."""
    return await report(client, application_name="Paper", application_url="https://app.paper.example")


@pytest.fixture
async def member(sign_up: SignUp, sql: psycopg.Connection[Any], bug: dict[str, Any]) -> Person:
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


@pytest.fixture
def postbox(settings: Settings) -> Postbox:
    return Postbox(settings.bugrelay_home)


@pytest.fixture
def job_log() -> Iterator[Sequence[MutableMapping[str, Any]]]:
    """What is logged."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def commands(settings: Settings, empty_board: None) -> Commands:
    return Commands(
        {
            **TEST_ENVIRONMENT,
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "BUGRELAY_HOME": str(settings.bugrelay_home),
        }
    )


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real one, for the tests that ask for it."""
    server = S3Server()
    server.start()
    yield server
    server.remove()


@pytest.fixture(params=[4, pytest.param(20, marks=pytest.mark.slow)], ids="{} rounds".format)
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a race is run: twenty times with the slow tests."""
    count: int = request.param
    return count


RunJobs = Callable[[], Awaitable[list[str]]]


@pytest.fixture
def run_jobs(sql: psycopg.Connection[Any], platform: Platform) -> RunJobs:
    """Run the jobs that wait, the oldest first; gives the names of those that ran."""

    async def run() -> list[str]:
        ran = []
        rows = sql.execute(
            "SELECT id, task_name, args FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id"
        )
        for job_id, name, arguments in rows.fetchall():
            arguments.pop(REQUEST_ID, None)  # of who asked, for the log
            await all_tasks().by_name[name](platform, **arguments)
            sql.execute("DELETE FROM procrastinate_jobs WHERE id = %s", (job_id,))
            ran.append(name)
        return ran

    return run
