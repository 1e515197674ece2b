"""Numbers of a stream are dense and in the order of the COMMITs, whatever is rolled back meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from bugrelay.domain.bugs.events import BugRemoved, CommentAdded
from bugrelay.domain.events.repository import events_after
from bugrelay.domain.events.schemas import SHARED_STREAMS
from bugrelay.infra.db.database import driver_connection
from bugrelay.infra.events import Cause, Recorded
from bugrelay.infra.ids import new_id
from bugrelay.infra.platform import Platform
from tests.domain.events.conftest import Sql, heads, logged

WRITERS, TURNS = 16, 40
COMPANIES = [UUID(int=number << 64) for number in range(1, 4)]


class Refused(Exception):
    pass


def said(company_id: UUID | None, bug_id: UUID | None = None) -> CommentAdded:
    return CommentAdded(
        comment_id=new_id(), bug_id=bug_id or new_id(), company_id=company_id, actor_id=new_id()
    )


async def write(platform: Platform, seed: int) -> int:
    """Events in several streams, in any order; every third unit of work is rolled back. Gives how many are kept."""
    chance = random.Random(seed)
    kept = 0
    for turn in range(TURNS):
        companies = chance.choices([*COMPANIES, None], k=chance.randint(1, 5))
        try:
            async with platform.work() as work:
                for company_id in companies:
                    work.record(said(company_id))
                _refuse_if(turn % 3 == 2)
        except Refused:
            continue
        kept += len(companies)
    return kept


def _refuse_if(refused: bool) -> None:
    if refused:
        raise Refused


async def test_sixteen_writers_with_rollbacks_leave_no_gap(platform: Platform, sql: Sql) -> None:
    kept = sum(await asyncio.gather(*(write(platform, seed) for seed in range(WRITERS))))
    assert logged(sql) == heads(sql)
    assert sql.execute("SELECT count(*) FROM events").fetchone() == (kept,)


async def test_a_rollback_by_the_database_gives_its_numbers_back(platform: Platform, sql: Sql) -> None:
    company_id = new_id()
    # An event that the database refuses, behind one that it has numbered already.
    broken = BugRemoved(
        bug_id=new_id(),
        company_id=company_id,
        chain=(),
        removed_at=datetime.now(UTC),
        actor_id="nobody",  # type: ignore[arg-type]
    )

    async def fail() -> None:
        async with platform.work() as work:
            work.record(said(company_id))
            work.record(broken)

    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        await fail()
    async with platform.work() as work:
        work.record(said(company_id))
    assert logged(sql) == {company_id: [1]}


async def test_a_reader_between_two_commits_skips_none(platform: Platform, sql: Sql) -> None:
    """Read without a pause while 16 write: each number is seen, none before its predecessor."""
    stream = COMPANIES[0]
    seen: list[int] = []
    done = asyncio.Event()

    async def read() -> None:
        while True:
            ended = done.is_set()
            events = await events_after(platform.database, stream, seen[-1] if seen else 0, limit=500)
            seen.extend(event.seq for event in events)
            if ended and not events:
                return

    reading = asyncio.create_task(read())
    await asyncio.gather(*(write(platform, seed) for seed in range(WRITERS)))
    done.set()
    await reading
    assert seen == heads(sql)[stream]


async def test_a_later_number_is_committed_later(platform: Platform, sql: Sql) -> None:
    """A transaction that waits for the stream gets the number after that of the one it waited for."""
    stream = new_id()
    held, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with platform.work() as work:
            work.record(said(stream))
            connection = await driver_connection(work.session)
            last = platform.bus.last_statement([Recorded(said(stream), Cause("user"))])
            assert last is not None
            await connection.execute(
                "SELECT FROM log_events(%s)", (last.argument.decode(),)
            )  # its number is taken, not committed
            held.set()
            await go_on.wait()

    holding = asyncio.create_task(hold())
    await held.wait()

    async def wait_behind() -> None:
        async with platform.work() as work:
            work.record(said(stream))

    waiting = asyncio.create_task(wait_behind())
    await _until_somebody_waits(sql)
    assert await events_after(platform.database, stream, 0, limit=10) == []
    go_on.set()
    await asyncio.gather(holding, waiting)
    assert logged(sql)[stream] == [1, 2, 3]
    ats = sql.execute("SELECT at FROM events WHERE stream = %s ORDER BY seq", (stream,)).fetchall()
    assert ats == sorted(ats)


async def _until_somebody_waits(sql: Sql) -> None:
    async def waits() -> AsyncIterator[None]:
        while not sql.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall():
            yield

    async with asyncio.timeout(30):
        async for _ in waits():
            await asyncio.sleep(0.01)


def test_bugs_without_a_company_have_sixteen_streams() -> None:
    assert len(set(SHARED_STREAMS)) == 16


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET type = 'other'",
        "DELETE FROM events",
        "TRUNCATE events",
        "UPDATE events SET seq = 1 WHERE false",
    ],
)
def test_the_database_refuses_to_change_events(sql: Sql, empty_board: None, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed or deleted"):
        sql.execute(statement)


async def test_a_rollback_does_not_affect_the_next_writer(platform: Platform, sql: Sql) -> None:
    """The driver forgets every prepared statement of the connection then, once it has prepared one itself."""
    stream = new_id()
    for number in range(1, 9):
        async with platform.work() as work:
            for _ in range(6):
                await work.session.execute(text("SELECT 1"))
            work.record(said(stream))
        with suppress(RuntimeError):
            async with platform.work() as work:
                await work.session.execute(text("SELECT 1"))
                raise RuntimeError
        assert logged(sql)[stream] == list(range(1, number + 1))
