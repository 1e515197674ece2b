"""DATABASE_READ_URL: a real streaming replica answers public reads, and nobody is given what was before a write."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import psycopg
import pytest

from bugrelay.embedded import EmbeddedServers
from bugrelay.embedded.paths import make_private
from bugrelay.embedded.processes import stop
from bugrelay.infra.db import replica as replica_module
from bugrelay.migrate import migrate
from bugrelay.settings import load_settings
from tests.conftest import StartApp
from tests.factories import Person, register, report

BUGS = "/api/v1/bugs"
C = TypeVar("C", bound=EmbeddedServers)
REPLICATING = ("--wal_level=replica", "--max_wal_senders=4", "--synchronous_commit=on")


class Primary(EmbeddedServers):
    """A throw-away cluster that sends its log."""

    def _postgres_command(self, data: Path) -> list[str | Path]:
        return [*super()._postgres_command(data), *REPLICATING]


class Standby(EmbeddedServers):
    """A copy of a primary that follows it."""

    def __init__(self, home: Path, primary: Primary) -> None:
        super().__init__(home, throw_away=True)
        self._primary = primary

    def _make_cluster(self, data: Path) -> None:
        make_private(data, self._account)
        where = ["-h", str(self._primary.sockets), "-U", "bugrelay", "-D", data]
        argv: list[str | Path] = [
            self._program("pg_basebackup"),
            *where,
            "--checkpoint=fast",
            "--write-recovery-conf",
        ]
        copying = self._spawn("postgres", argv, signal.SIGKILL)
        assert copying.wait(60) == 0

    def _postgres_command(self, data: Path) -> list[str | Path]:
        return [*super()._postgres_command(data), *REPLICATING]


@contextmanager
def _cluster(make: Callable[[Path], C]) -> Iterator[C]:
    home = Path(tempfile.mkdtemp(prefix="replica-"))
    servers = make(home)
    servers.acquire()
    servers.start_postgres()
    try:
        yield servers
    finally:
        servers.close()
        servers.remove()
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def primary() -> Iterator[Primary]:
    with _cluster(lambda home: Primary(home, throw_away=True)) as primary:
        migrate(load_settings({"DATABASE_URL": primary.database_url}))
        yield primary


@pytest.fixture
def standby(primary: Primary) -> Iterator[Standby]:
    with _cluster(lambda home: Standby(home, primary)) as standby:
        yield standby


@pytest.fixture
def on_standby(standby: Standby) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(standby.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def client(primary: Primary, standby: Standby, start_app: StartApp) -> AsyncIterator[httpx.AsyncClient]:
    """A board that reads from the standby, and has no Redis, so that next to nothing is kept."""
    urls = {"database_url": primary.database_url, "database_read_url": standby.database_url}
    async with start_app(**urls, redis_url="redis://127.0.0.1:1/0") as client:
        yield client


@pytest.fixture
async def ada(client: httpx.AsyncClient) -> Person:
    return await register(client, f"ada{uuid4().hex[:8]}")


def reads_of(connection: psycopg.Connection[Any]) -> int:
    """How many rows of bugs the standby has looked up by index until now."""
    connection.execute("SELECT pg_stat_clear_snapshot()")
    row = connection.execute(
        "SELECT idx_scan + seq_scan FROM pg_stat_user_tables WHERE relname = 'bugs'"
    ).fetchone()
    return int(row[0]) if row else 0


async def titles(client: httpx.AsyncClient, **query: Any) -> list[str]:
    """Of the first page; a parameter of no meaning keeps every copy in the process out of it."""
    answer = await client.get(BUGS, params={**query, "limit": 100})
    assert answer.status_code == 200, answer.text
    return [bug["title"] for bug in answer.json()["bugs"]]


async def test_public_reads_go_to_the_standby(
    client: httpx.AsyncClient, ada: Person, on_standby: psycopg.Connection[Any]
) -> None:
    bug = await report(client, ada, title="Read from afar")

    async def read_there() -> bool:
        before = reads_of(on_standby)
        assert "Read from afar" in await titles(client)
        assert "Read from afar" in await titles(client, search="afar")
        assert (await client.get(f"{BUGS}/{bug['id']}")).json()["bug"]["title"] == "Read from afar"
        await asyncio.sleep(1.1)  # statistics of an idle backend are sent once a second
        return reads_of(on_standby) > before

    assert any([await read_there() for _ in range(5)])
    before = reads_of(on_standby)
    for _ in range(5):
        assert (await client.get(f"{BUGS}/{bug['id']}", headers=ada.headers)).status_code == 200
    await asyncio.sleep(1.1)
    assert reads_of(on_standby) == before


@pytest.mark.parametrize("folded", [False, True])
async def test_what_may_be_the_same_is_found_on_the_standby(
    folded: bool,
    client: httpx.AsyncClient,
    ada: Person,
    primary: Primary,
    on_standby: psycopg.Connection[Any],
) -> None:
    words = f"{uuid4().hex} {uuid4().hex}"
    bug = await report(client, ada, title=f"Comets {words}")
    with psycopg.connect(primary.database_url, autocommit=True) as on_primary:
        while folded and on_primary.execute("SELECT similar_fold(500)").fetchone() != (0,):
            pass

    async def is_found() -> None:
        similar = await client.post(f"{BUGS}/similar", json={"title": f"No {words}"})
        assert [one["bug"]["id"] for one in similar.json()["similar"]] == [bug["id"]]
        assert await titles(client, search=f"unheardof {words}") == [f"Comets {words}"]

    async def is_read_there() -> bool:
        before = reads_of(on_standby)
        await is_found()
        await asyncio.sleep(1.1)  # statistics of an idle backend are sent once a second
        return reads_of(on_standby) > before

    assert any([await is_read_there() for _ in range(5)])
    on_standby.execute("SELECT pg_wal_replay_pause()")
    try:
        await report(client, ada, title="This moves the primary on")
        await is_found()
    finally:
        on_standby.execute("SELECT pg_wal_replay_resume()")


async def test_a_standby_that_lags_is_not_used(
    client: httpx.AsyncClient, ada: Person, on_standby: psycopg.Connection[Any]
) -> None:
    await titles(client)
    on_standby.execute("SELECT pg_wal_replay_pause()")
    try:
        for number in range(5):
            bug = await report(client, ada, title=f"Not there yet {number}")
            assert (await titles(client, n=uuid4().hex))[0] == f"Not there yet {number}"
            assert (await client.get(f"{BUGS}/{bug['id']}")).status_code == 200
            found = await client.get(BUGS, params={"search": f"there yet {number}"})
            assert found.json()["bugs"][0]["id"] == bug["id"]
    finally:
        on_standby.execute("SELECT pg_wal_replay_resume()")


async def test_totals_are_exact_with_and_without_the_standby(client: httpx.AsyncClient, ada: Person) -> None:
    name = uuid4().hex
    for number in range(1, 6):
        await report(client, ada, title=f"Counted {name}")
        answer = (await client.get(BUGS, params={"search": name})).json()
        assert (answer["pagination"]["total"], len(answer["bugs"])) == (number, number)


async def test_without_the_standby_everything_is_answered_and_with_it_again(
    client: httpx.AsyncClient,
    ada: Person,
    standby: Standby,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replica_module, "COOLDOWN_SECONDS", 0.2)
    await report(client, ada, title="Still here")
    assert "Still here" in await titles(client)
    assert standby.postgres is not None
    stop(standby.postgres, signal.SIGINT, seconds=20)
    for _ in range(3):
        assert "Still here" in await titles(client, n=uuid4().hex)
        await asyncio.sleep(0.25)
    standby.start_postgres()
    with psycopg.connect(standby.database_url, autocommit=True) as there:

        async def is_used() -> bool:
            await titles(client, n=uuid4().hex)
            await asyncio.sleep(1.1)
            return reads_of(there) > 0

        assert any([await is_used() for _ in range(5)])
