"""Many clients of the WebSocket while what it stands on breaks: each ends with the same events, in order, once."""

from __future__ import annotations

import asyncio
import os
import signal
import socket as tcp
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest

from tests.factories import Person
from tests.faults.conftest import StartBoard
from tests.faults.servers import Board
from tests.faults.sockets import Company, Follower, found_company, socket, write
from tests.infra.redis.server import Valkey, eventually

SECONDS = 120
OF_A_USER = 10


class Writer:
    """Makes tickets without a pause, whatever breaks."""

    def __init__(self, board: Board, person: Person) -> None:
        self._board = board
        self._person = person
        self.written = 0

    async def write(self) -> None:
        while True:
            try:
                async with self._board.visitor() as visitor:
                    while True:
                        await write(visitor, self._person)
                        self.written += 1
                        await asyncio.sleep(0.05)
            except httpx.TransportError:  # a process was killed
                await asyncio.sleep(0.1)


@asynccontextmanager
async def running(*loops: Callable[[], object]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(loop()) for loop in loops]  # type: ignore[call-overload]
    try:
        yield
        assert [task for task in tasks if task.done()] == []
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError), repr(outcome)


async def followers_of(
    company: Company, board: Board, visitor: httpx.AsyncClient, count: int
) -> list[Follower]:
    since, people = company.head, [company.member]
    while len(people) * OF_A_USER < count:
        people.append(await company.joined(visitor))
    return [Follower(board, people[n // OF_A_USER], f"c{n}", since) for n in range(count)]


@pytest.mark.parametrize("sockets", [20, pytest.param(200, marks=pytest.mark.slow)])
async def test_each_client_ends_with_the_same_events(
    start_board: StartBoard, own_valkey: Valkey, rows: psycopg.Connection[Any], sockets: int
) -> None:
    board = start_board(WORKERS="3")
    async with board.visitor() as visitor:
        company = await found_company(visitor, rows)
        await write(visitor, company.member)
        clients = await followers_of(company, board, visitor, sockets)
    writers = [Writer(board, company.member) for _ in range(2)]
    begin = clients[0].since

    async def all_go_on() -> None:
        """Everybody is told what was committed by now, and something is written after that."""
        head, written = company.head, sum(writer.written for writer in writers)
        await eventually(lambda: all(client.last >= head for client in clients), seconds=SECONDS)
        await eventually(lambda: sum(writer.written for writer in writers) > written, seconds=SECONDS)

    async with running(*(client.follow for client in clients)):
        async with running(*(writer.write for writer in writers)):
            await all_go_on()
            own_valkey.kill()
            await all_go_on()
            own_valkey.start()
            await all_go_on()
            own_valkey.ask("FLUSHALL")
            await all_go_on()
            own_valkey.send_signal(signal.SIGSTOP)
            try:
                await all_go_on()
            finally:
                own_valkey.send_signal(signal.SIGCONT)
            broken = sum(len(client.codes) for client in clients)
            for process in board.workers():
                os.kill(process, signal.SIGKILL)
                await all_go_on()
                if sum(len(client.codes) for client in clients) > broken:
                    break
        head = company.head  # a ticket whose writer has left may still be committed later
        await eventually(lambda: all(client.last >= head for client in clients), seconds=SECONDS)
    expected = {client.client_id: list(range(begin + 1, client.last + 1)) for client in clients}
    assert {client.client_id: client.ids for client in clients} == expected
    assert (
        sum(len(client.codes) for client in clients) > broken
    )  # those of the process that was killed came back


def put_events(company: Company, count: int) -> None:
    """Large ones, as many writers would make them."""
    company.sql.execute(
        """
        WITH taken AS (
            UPDATE event_streams SET last_seq = last_seq + %(count)s WHERE stream = %(id)s RETURNING last_seq
        )
        INSERT INTO events (stream, seq, type, at, visibility, data, cause)
        SELECT %(id)s, last_seq - %(count)s + n, 'project.changed', now(), 'tenant',
            jsonb_build_object('text', repeat('x', 4000)), '{"kind": "system", "chain": []}'
        FROM taken, generate_series(1, %(count)s) n
        """,
        {"id": company.id, "count": count},
    )


async def test_a_client_that_reads_nothing_is_closed_and_keeps_nobody_waiting(
    start_board: StartBoard, rows: psycopg.Connection[Any]
) -> None:
    board = start_board()
    async with board.visitor() as visitor:
        company = await found_company(visitor, rows)
        reader = await company.joined(visitor)
    follower = Follower(board, reader, "reads", company.head)
    with tcp.socket() as small:
        small.setsockopt(tcp.SOL_SOCKET, tcp.SO_RCVBUF, 4096)
        small.connect(("127.0.0.1", board.port))
        small.setblocking(False)
        async with (
            socket(board, "idles", person=company.member, sock=small) as idle,
            running(follower.follow),
        ):
            await idle.heard("hello")
            await idle.say("subscribe", since=company.head)
            idle.connection.transport.pause_reading()
            for _ in range(8):
                put_events(company, 100)
                await eventually(lambda: follower.last == company.head, seconds=SECONDS)
            await eventually(lambda: '"code":4408' in board.log(), seconds=SECONDS)
            put_events(company, 1)
            await eventually(lambda: follower.last == company.head, seconds=SECONDS)
            board.terminate()  # which waits for nobody
            idle.connection.transport.abort()
    assert follower.ids == list(range(follower.since + 1, company.head + 1))


@pytest.mark.parametrize("lost", ["place", "account", "session", "company"])
async def test_a_former_member_receives_no_events_committed_a_second_later(
    board: Board, rows: psycopg.Connection[Any], lost: str
) -> None:
    statements = {
        "place": "DELETE FROM company_members WHERE user_id = %(user)s",
        "account": "UPDATE users SET banned_at = now() WHERE id = %(user)s",
        "session": "UPDATE sessions SET ended_at = now() WHERE user_id = %(user)s",
        "company": "UPDATE companies SET verified = false WHERE id = %(company)s",
    }
    async with board.visitor() as visitor:
        company = await found_company(visitor, rows)
        grace = await company.joined(visitor)
        async with socket(board, person=grace) as connection:
            await connection.heard("hello")
            await connection.say("subscribe", since=company.head)
            await write(visitor, company.member)
            await connection.event_of("ticket.created")
            rows.execute(statements[lost], {"user": grace.id, "company": company.id})
            await asyncio.sleep(1)
            put_events(company, 1)
            assert await connection.rest() == []
            assert connection.connection.close_code == (4401 if lost == "session" else 4403)
