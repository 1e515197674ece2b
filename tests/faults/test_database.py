"""Connections to PostgreSQL: cancelled at any moment, hung, broken or misused, none is lost and none is poisoned."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import bindparam, func, literal, select, text

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.db.database import Database, Query, Reader, bulkhead
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import EventBus
from bugrelay.settings import load_settings
from tests.faults.servers import Postgres
from tests.infra.redis.server import eventually
from tests.pace import PAUSE_SECONDS, patient, undisturbed

POOL = 3
ROUNDS = 20
NAP = Query(select(func.pg_sleep(bindparam("seconds"))))
WHO = Query(select(func.pg_backend_pid()))


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator[Database]:
    database = Database(load_settings({"DATABASE_URL": postgres.url, "DATABASE_POOL": str(3 * POOL)}))
    yield database
    await database.close()


@contextmanager
def frozen(postgres: Postgres) -> Iterator[None]:
    postgres.freeze()
    try:
        yield
    finally:
        postgres.thaw()


def work_on(database: Database) -> UnitOfWork:
    return UnitOfWork(database, EventBus())


async def assert_all_places_are_free(database: Database) -> None:
    """As many reads and changes at once as there are places of a route, done in a moment."""

    async def write() -> None:
        async with work_on(database) as work:
            await work.session.execute(text("SELECT pg_sleep(0.05)"))

    async def use_all() -> None:
        began = time.monotonic()
        await asyncio.gather(*(database.row(NAP, {"seconds": 0.05}) for _ in range(POOL - 1)))
        await asyncio.gather(*(write() for _ in range(POOL - 1)))
        assert time.monotonic() - began < patient(1)

    await undisturbed(use_all, seconds=1)


async def cancel_after(task: asyncio.Task[Any], seconds: float) -> None:
    await asyncio.sleep(seconds)
    task.cancel()
    began = time.monotonic()
    await asyncio.wait([task])
    seconds = time.monotonic() - began
    # And not the ten seconds that psycopg takes for a hung server. The pace is sampled for whoever needs it alone: a
    # sample after each of hundreds would keep the loop from cancelling the others in their midst.
    assert seconds < 5 or seconds < patient(5)


async def test_cancelled_reads_lose_no_connection_and_no_slot(database: Database) -> None:
    for _ in range(ROUNDS):
        reads = [asyncio.create_task(database.row(NAP, {"seconds": 0.02})) for _ in range(10)]
        await asyncio.gather(*(cancel_after(read, random.uniform(0, 0.06)) for read in reads))
    await assert_all_places_are_free(database)


async def test_cancelled_changes_lose_no_slot_and_are_atomic(
    database: Database, rows: psycopg.Connection[Any]
) -> None:
    rows.execute("CREATE TABLE halves (change int, half int)")

    async def change(number: int) -> None:
        async with work_on(database) as work:
            for half in (1, 2):
                await work.session.execute(
                    text("INSERT INTO halves SELECT :change, :half FROM pg_sleep(0.005)"),
                    {"change": number, "half": half},
                )

    for turn in range(ROUNDS):
        changes = [asyncio.create_task(change(turn * 10 + number)) for number in range(10)]
        await asyncio.gather(*(cancel_after(one, random.uniform(0, 0.06)) for one in changes))
    await asyncio.sleep(0.2)  # what a closed connection had begun ends
    found = rows.execute("SELECT count(*) FROM halves GROUP BY change").fetchall()
    rows.execute("DROP TABLE halves")
    assert set(found) == {(2,)}
    await assert_all_places_are_free(database)


async def test_no_request_reads_the_result_of_another(database: Database) -> None:
    echo = Query(select(bindparam("number", type_=text("1").type), func.pg_sleep(0.002)))

    async def ask(number: int) -> None:
        row = await database.row(echo, {"number": number})
        assert row is not None
        assert row[0] == number

    for _ in range(ROUNDS):
        tasks = [asyncio.create_task(ask(number)) for number in range(10)]
        for task in tasks[::2]:
            await asyncio.sleep(0.001)
            task.cancel()
        await asyncio.gather(*tasks[1::2])


@pytest.mark.parametrize(
    "misuse", ["BEGIN", "BEGIN; SELECT 1/0", "COPY bugs TO STDOUT", "SELECT 1/0"], ids=lambda sql: sql
)
async def test_a_connection_that_was_left_in_a_bad_state_is_used_by_nobody(
    database: Database, misuse: str
) -> None:
    for _ in range(POOL + 1):
        try:
            async with database.reading() as reader:
                await reader.connection.execute(misuse.encode())
        except psycopg.Error:
            continue
    await assert_all_places_are_free(database)
    async with database.reading() as reader:
        assert reader.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


async def test_a_server_that_hangs_is_given_up_in_time_and_used_again_at_once(
    database: Database, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    async def write() -> None:
        async with work_on(database) as work:
            await work.session.execute(text("SELECT 1"))

    await asyncio.gather(database.row(WHO), write())
    calls = [call for _ in range(6) for call in (database.row(WHO), write())]
    began = time.monotonic()
    with frozen(postgres):
        async with asyncio.timeout(60):
            results = await asyncio.gather(*calls, return_exceptions=True)
    seconds = time.monotonic() - began
    assert {type(result) for result in results} == {ServiceUnavailable}
    assert seconds < patient(6) + PAUSE_SECONDS
    await assert_all_places_are_free(database)
    del results
    gc.collect()
    assert "garbage collector" not in caplog.text  # of a connection that nobody gave back


async def test_connections_that_could_not_be_opened_hold_no_slot_at_the_server(
    database: Database, postgres: Postgres, rows: psycopg.Connection[Any]
) -> None:
    """Left to the garbage collector, those of half a minute would take all places that the server has."""

    def held() -> int:
        found = rows.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bugrelay'")
        return int(found.fetchall()[0][0])

    before = held()  # by other boards
    gc.disable()
    try:
        with frozen(postgres):
            calls = (database.row(WHO) for _ in range(POOL))
            results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {ServiceUnavailable}
        await eventually(lambda: held() == before)
    finally:
        gc.enable()


async def test_a_connection_that_is_opening_is_given_up_with_its_caller(
    database: Database, postgres: Postgres
) -> None:
    with frozen(postgres):
        opening = [asyncio.create_task(database.row(WHO)) for _ in range(6)]
        await asyncio.gather(*(cancel_after(task, 0.2) for task in opening))
    await assert_all_places_are_free(database)


async def test_connections_that_the_server_ended_are_replaced_before_anybody_gets_them(
    database: Database, rows: psycopg.Connection[Any]
) -> None:
    await assert_all_places_are_free(database)
    ended = rows.execute(
        "SELECT pg_terminate_backend(pid), pid FROM pg_stat_activity WHERE application_name = 'bugrelay'"
    ).fetchall()
    assert len(ended) >= 2
    still = "SELECT FROM pg_stat_activity WHERE pid = ANY(%s)"
    await eventually(lambda: rows.execute(still, ([pid for _, pid in ended],)).rowcount == 0)
    await assert_all_places_are_free(database)


async def test_a_lock_is_waited_for_two_seconds_and_costs_no_connection(
    database: Database, rows: psycopg.Connection[Any]
) -> None:
    count = Query(select(func.count()).select_from(text("comments")))
    before = await database.row(WHO)
    with rows.transaction():
        rows.execute("LOCK TABLE comments")
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable):
            await database.row(count)
        assert 1.9 < time.monotonic() - began < patient(3) + PAUSE_SECONDS
    assert await database.row(WHO) == before


async def test_a_statement_may_take_three_seconds(database: Database) -> None:
    async def take_longer() -> None:
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable):
            await database.row(NAP, {"seconds": 10})
        assert 2.9 < time.monotonic() - began < patient(3.4)

    await undisturbed(take_longer, seconds=3.4)


async def test_more_statements_than_a_connection_keeps_prepared(database: Database) -> None:
    for _ in range(2):
        for number in range(150):
            assert await database.row(Query(select(literal(number).label(f"n{number}")))) == (number,)


async def test_one_route_has_a_third_of_the_connections(postgres: Postgres) -> None:
    database = Database(load_settings({"DATABASE_URL": postgres.url, "DATABASE_POOL": "36"}))

    async def take_all() -> None:
        slow = [asyncio.create_task(database.row(NAP, {"seconds": 0.5})) for _ in range(12)]
        await asyncio.sleep(0.2)
        busy = await asyncio.create_task(_busy(database))
        await asyncio.gather(*slow)
        assert busy == 4

    await undisturbed(take_all, seconds=0.5)
    await database.close()


async def test_one_number_bounds_all_processes_of_a_server(postgres: Postgres) -> None:
    """A process of four has a quarter of the connections, however many routes are busy in every way."""
    settings = load_settings({"DATABASE_URL": postgres.url, "DATABASE_POOL": "48", "WORKERS": "4"})
    database = Database(settings)
    who = text("SELECT pg_backend_pid() FROM pg_sleep(0.2)")

    async def write(route: str) -> int:
        bulkhead.set(route)
        async with work_on(database) as work:
            return int(await work.session.scalar(who) or 0)

    async def read(reader: Reader, route: str) -> int:
        bulkhead.set(route)
        (row,) = await reader.rows(Query(who))
        return int(row[0])

    async def use_all() -> None:
        calls = [
            call
            for route in ("one", "two", "three", "four")
            for _ in range(2)
            for call in (write(route), read(database, route), read(database.autocommit, route))
        ]
        assert len(set(await asyncio.gather(*calls))) == 12

    await undisturbed(use_all, seconds=0.8)
    await database.close()


async def _busy(database: Database) -> int:
    bulkhead.set("another route")
    query = Query(
        select(func.count()).select_from(text("pg_stat_activity")).where(text("wait_event = 'PgSleep'"))
    )
    row = await database.row(query)
    assert row is not None
    return int(row[0])
