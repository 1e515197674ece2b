"""`/ws/{client_id}` of a real server, by a client that is not ours: handshakes, messages, and how it is closed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import randrange
from typing import Any
from uuid import uuid4

import httpx
import jwt
import psycopg
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bugrelay.infra.security.tokens import AUDIENCE
from tests.conftest import TEST_ENVIRONMENT
from tests.factories import PASSWORD, Person, make_member, register
from tests.faults.conftest import StartBoard
from tests.faults.servers import Board
from tests.faults.sockets import Company, Socket, found_company, socket, write
from tests.pace import undisturbed

STOPPING, NOT_UNDERSTOOD, UNAUTHENTICATED, FORBIDDEN = 1001, 4400, 4401, 4403
REPLACED, TOO_MANY = 4409, 4429

Rows = psycopg.Connection[Any]


@pytest.fixture
async def visitor(board: Board) -> AsyncIterator[httpx.AsyncClient]:
    async with board.visitor() as visitor:
        yield visitor


@pytest.fixture
async def company(visitor: httpx.AsyncClient, rows: Rows) -> Company:
    return await found_company(visitor, rows)


async def refused(board: Board, client_id: str = "test", **options: Any) -> tuple[int, str, Any]:
    """Status, code and headers of a handshake that is refused as a request is."""
    with pytest.raises(InvalidStatus) as raised:
        async with socket(board, client_id, **options):
            pass
    response = raised.value.response
    return response.status_code, json.loads(response.body)["error"]["code"], response.headers


async def code_of(board: Board, client_id: str = "test", **options: Any) -> int | None:
    """How a connection is closed to which its client says nothing."""
    async with socket(board, client_id, **options) as connection:
        return await connection.closed()


def token_for(person: Person, *, seconds: float) -> str:
    """A token of the person's session that ends sooner than ours do."""
    key = TEST_ENVIRONMENT["SECRET_KEY"]
    claims = jwt.decode(person.access_token, key, algorithms=["HS256"], audience=AUDIENCE)
    claims["exp"] = datetime.now(UTC) + timedelta(seconds=seconds)
    return jwt.encode(claims, key, algorithm="HS256")


def as_pulled(message: dict[str, Any]) -> dict[str, Any]:
    """An event on a socket as the other ways show it."""
    return {name: value for name, value in message.items() if name != "event"} | {"type": message["event"]}


def an_address() -> dict[str, str]:
    """A client address that no other test has."""
    return {"X-Forwarded-For": f"10.{randrange(256)}.{randrange(256)}.{randrange(256)}"}


# --- the handshake ----------------------------------------------------------------------------------------------------


async def test_a_handshake_passes_the_checks_of_a_request(start_board: StartBoard, rows: Rows) -> None:
    board = start_board(
        ALLOWED_HOSTS="127.0.0.1",
        RATE_LIMIT_GENERAL="6/minute",
        TRUSTED_PROXIES="127.0.0.0/8",
        PUBLIC_URL="https://bugs.example/board",
        CORS_ALLOW_ORIGINS="https://app.example",
        LIVE_CONNECTIONS="2",
    )
    named = {"X-Request-ID": "mine"} | an_address()
    status, code, headers = await refused(board, host="evil.example", headers=named)
    assert (status, code, headers["X-Request-ID"]) == (400, "VALIDATION_ERROR", "mine")

    address = an_address()
    for _ in range(6):
        assert (await refused(board, "a/b", headers=address))[:2] == (404, "NOT_FOUND")
    status, code, headers = await refused(board, headers=address)
    assert (status, code, headers["X-RateLimit-Limit"]) == (429, "RATE_LIMIT_EXCEEDED", "6")
    assert 1 <= int(headers["Retry-After"]) <= 60

    for origin in ("https://evil.example", "null", "https://bugs.example:444", "http://bugs.example"):
        assert await code_of(board, origin=origin, headers=an_address()) == FORBIDDEN
    async with board.visitor() as visitor:
        visitor.headers.update(an_address())
        company = await found_company(visitor, rows)
    mine = {"person": company.member, "headers": an_address()}
    async with (
        socket(board, "a", origin="https://bugs.example", **mine) as first,
        socket(board, "b", origin="https://app.example", **mine) as second,
    ):
        assert await first.heard("hello")
        assert await second.heard("hello")
        assert await code_of(board, "c", **mine) == TOO_MANY
    async with socket(board, "c", **mine) as third:
        assert await third.heard("hello")


@pytest.mark.parametrize("client_id", ["a%20b", "x" * 65, "%C3%A9", "a%0A", "a;b"])
async def test_a_client_id_is_validated(board: Board, client_id: str) -> None:
    assert await code_of(board, client_id) == NOT_UNDERSTOOD


async def test_other_paths_are_answered_as_before(board: Board, visitor: httpx.AsyncClient) -> None:
    """Also where a handshake is asked for that is none, or at an address of requests."""
    assert (await visitor.get("/ws/test")).status_code == 404
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert (await visitor.get("/ws/test", headers=upgrade)).status_code == 400
    with pytest.raises(InvalidStatus) as raised:
        async with connect(f"ws://127.0.0.1:{board.port}/api/v1/bugs", proxy=None):
            pass
    assert raised.value.response.status_code == 404


# --- who asks ---------------------------------------------------------------------------------------------------------


async def test_authentication_and_choice_of_the_company(
    board: Board, visitor: httpx.AsyncClient, company: Company, rows: Rows
) -> None:
    grace = company.member
    async with socket(board) as connection:
        hello = await connection.signed_in(grace)
        assert hello == {"type": "hello", "head": company.head, "heartbeat_seconds": 25}
    other = await found_company(visitor, rows)
    assert await code_of(board, person=grace, headers={"X-Company-ID": other.id}) == FORBIDDEN
    make_member(rows, grace, other.id, role="reporter")
    assert await code_of(board, person=grace) == NOT_UNDERSTOOD  # which of the two
    for named in ({"headers": {"X-Company-ID": other.id}}, {"client_id": f"test?company={other.id}"}):
        async with socket(board, person=grace, **named) as connection:
            assert (await connection.heard("hello"))["head"] == other.head
    two = {"headers": {"X-Company-ID": other.id}, "client_id": f"test?company={company.id}"}
    assert await code_of(board, person=grace, **two) == NOT_UNDERSTOOD
    async with socket(board) as connection:
        assert (await connection.signed_in(grace, company=other.id))["head"] == other.head
        await connection.say("auth", token=grace.access_token, company=company.id)
        assert await connection.closed() == FORBIDDEN  # a connection keeps its company
    async with socket(board) as connection:
        await connection.signed_in(grace, company=company.id)
        await connection.say("auth", token=other.member.access_token)
        assert await connection.closed() == FORBIDDEN  # and its user


async def test_a_connection_without_a_valid_token_is_closed(
    board: Board, visitor: httpx.AsyncClient, company: Company, rows: Rows
) -> None:
    grace, stranger = company.member, await register(visitor, f"u{uuid4().hex[:20]}")
    for authorization in ("Bearer nonsense", "Basic abc", f"Bearer {grace.refresh_token}"):
        assert await code_of(board, headers={"Authorization": authorization}) == UNAUTHENTICATED
    assert await code_of(board, person=stranger) == FORBIDDEN
    async with socket(
        board, f"test?token={grace.access_token}&access_token={grace.access_token}"
    ) as connection:
        await connection.say("subscribe", since=0)
        assert await connection.closed() == UNAUTHENTICATED  # no address signs anybody in
    async with socket(board) as connection:
        await connection.say("auth", token=token_for(grace, seconds=-1))
        assert await connection.closed() == UNAUTHENTICATED
    banned = await company.joined(visitor)
    rows.execute("UPDATE users SET banned_at = now() WHERE id = %s", (banned.id,))
    assert await code_of(board, person=banned) == FORBIDDEN
    assert await code_of(board) == UNAUTHENTICATED  # nothing within five seconds


async def test_a_connection_ends_with_its_token_unless_it_was_renewed(
    board: Board, visitor: httpx.AsyncClient, company: Company
) -> None:
    grace = company.member

    async def renew_one_of_two() -> None:
        async with socket(board, "one") as short, socket(board, "two") as renewed:
            for connection in (short, renewed):
                await connection.say("auth", token=token_for(grace, seconds=2))
                await connection.heard("hello")
                await connection.say("subscribe", since=company.head)
            await renewed.signed_in(grace)
            assert await short.closed() == UNAUTHENTICATED
            ticket = await write(visitor, grace)
            assert (await renewed.event_of("ticket.created"))["ticket"]["id"] == ticket["id"]

    await undisturbed(renew_one_of_two, seconds=0.9)


async def test_a_token_of_another_session_keeps_the_subscription(
    board: Board, visitor: httpx.AsyncClient, company: Company
) -> None:
    """Also when the session that it began with ends."""
    grace = company.member
    again = await visitor.post("/api/v1/auth/login", json={"email": grace.email, "password": PASSWORD})
    async with socket(board, person=grace) as connection:
        await connection.heard("hello")
        await connection.say("subscribe", since=company.head)
        await write(visitor, grace)
        first = await connection.event_of("ticket.created")
        await connection.say("auth", token=again.json()["access_token"])
        await connection.heard("hello")
        assert (await visitor.post("/api/v1/auth/logout", headers=grace.headers)).is_success
        await asyncio.sleep(1.1)  # rights are a second old at most
        for _ in range(2):
            await write(visitor, replace(grace, access_token=again.json()["access_token"]))
            event = await connection.event_of("ticket.created")
            assert event["id"] == first["id"] + 1
            first = event


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        "nonsense",
        '{"type": "hello"}',
        '{"type": "subscribe", "since": -1}',
        '{"type": "subscribe", "projects": ["all"]}',
        '{"type": "pong", "deep": ' + "[" * 8000 + "]" * 8000 + "}",
        '{"type": "pong", "x": "' + "x" * 16 * 1024 + '"}',
        '{"type": "subscribe", "tickets": ["\u0000"]}',
        b'{"type": "pong"}',
    ],
)
async def test_invalid_messages_close_the_connection(
    board: Board, company: Company, message: str | bytes
) -> None:
    async with socket(board, person=company.member) as connection:
        await connection.heard("hello")
        await connection.connection.send(message)
        assert await connection.closed() == NOT_UNDERSTOOD


async def test_messages_are_limited(board: Board, company: Company) -> None:
    pad = "x" * (16 * 1024 - len(json.dumps({"type": "pong", "pad": ""})))
    async with socket(board, person=company.member) as connection:
        await connection.say("pong", pad=pad)  # the largest there may be
        await connection.heard("hello")
        for _ in range(30):
            await connection.say("pong")
        assert await connection.closed() == NOT_UNDERSTOOD


async def test_a_subscription_filters_events_and_none_is_sent_twice(
    board: Board, visitor: httpx.AsyncClient, company: Company
) -> None:
    grace = company.member
    first, second = await write(visitor, grace), await write(visitor, grace)
    async with socket(board, person=grace) as connection:
        await connection.heard("hello")
        await connection.say(
            "subscribe", since=0, tickets=[second["key"]], types=["ticket.created", "bug.created"]
        )
        event = await connection.event()
        assert (event["event"], event["ticket"]["key"]) == ("ticket.created", second["key"])
        # The same again from before goes on; another from before would miss something, and is told so.
        await connection.say(
            "subscribe", since=0, tickets=[second["id"]], types=["bug.created", "ticket.created"]
        )
        await write(visitor, grace)
        await connection.say("subscribe", since=0, projects=[first["project"]["id"]])
        assert await connection.heard("resync") == {"type": "resync", "head": company.head}
        third = await write(visitor, grace)
        assert (await connection.event())["ticket"]["id"] == third["id"]
        await connection.say("subscribe", types=["ticket.status_changed"])  # goes on
        await connection.say("subscribe", since=company.head + 1)
        assert await connection.heard("resync") == {"type": "resync", "head": company.head}
        await connection.say("subscribe", tickets=["NONE-1"])
        assert await connection.closed() == FORBIDDEN


async def test_pages_stream_and_socket_have_the_same_events(
    board: Board, visitor: httpx.AsyncClient, company: Company
) -> None:
    """Pulled, streamed and on a socket: content and order, from each point on."""
    grace = company.member
    for number in range(4):
        await write(visitor, grace, title=f"Printer <img src=x onerror=alert({number})> is on fire")
    pulled = (await visitor.get("/api/v1/events", headers=grace.headers)).json()["events"]
    assert [event["id"] for event in pulled] == list(range(1, company.head + 1))
    streamed: list[Any] = []
    async with visitor.stream("GET", "/api/v1/events/stream?since=0", headers=grace.headers) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                streamed.append(json.loads(line.removeprefix("data: ")))
            if len(streamed) == len(pulled):
                break
    assert streamed == pulled
    for since in range(len(pulled)):
        async with socket(board, person=grace) as connection:
            await connection.heard("hello")
            await connection.say("subscribe", since=since)
            told = [await connection.event() for _ in pulled[since:]]
            assert [as_pulled(event) for event in told] == pulled[since:]


# --- how many, and who replaces whom ----------------------------------------------------------------------------------


async def test_a_user_has_ten_connections(board: Board, company: Company) -> None:
    async with AsyncExitStack() as open_:
        for number in range(10):
            connection = await open_.enter_async_context(socket(board, f"c{number}", person=company.member))
            await connection.heard("hello")
        assert await code_of(board, "c10", person=company.member) == TOO_MANY
        async with socket(board, "c3", person=company.member) as again:  # which replaces one of the ten
            assert await again.heard("hello")


async def test_a_second_connection_of_a_client_replaces_the_first(
    start_board: StartBoard, rows: Rows
) -> None:
    """In whatever process the two are. Those of another user under the same name stay."""
    board = start_board(WORKERS="3")
    async with board.visitor() as visitor, AsyncExitStack() as open_:
        company = await found_company(visitor, rows)
        grace, ada = company.member, await company.joined(visitor)
        others = await open_.enter_async_context(socket(board, "tab", person=ada))
        await others.heard("hello")
        former: Socket | None = None
        for _ in range(12):
            connection = await open_.enter_async_context(socket(board, "tab", person=grace))
            await connection.heard("hello")
            if former is not None:
                assert await former.closed() == REPLACED
            former = connection
        await others.say("subscribe", since=company.head)
        await write(visitor, grace)
        assert await others.event()
    board.terminate()


async def test_a_stop_closes_each_connection_with_a_close_code(start_board: StartBoard, rows: Rows) -> None:
    board = start_board(WORKERS="2", DRAIN_SECONDS="2")
    async with board.visitor() as visitor, AsyncExitStack() as open_:
        company = await found_company(visitor, rows)
        connections = [
            await open_.enter_async_context(socket(board, f"c{number}", person=company.member))
            for number in range(6)
        ]
        for number, connection in enumerate(connections):
            await connection.heard("hello")
            if number % 2:
                await connection.say("subscribe", since=0)
        board.process.terminate()
        assert [await connection.closed() for connection in connections] == [STOPPING] * 6
    assert await asyncio.to_thread(board.process.wait, 30) == 0
