"""HTTP as nobody should send it, byte by byte: an answer that says what is wrong, and a connection that stays sane."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.factories import a_report, register
from tests.faults.conftest import StartBoard
from tests.faults.servers import Board, Postgres
from tests.infra.redis.server import Valkey

JSON = "Content-Type: application/json\r\n"
CLOSE = "Connection: close\r\n"
NEXT = b"GET /health HTTP/1.1\r\nHost: board.example\r\nConnection: close\r\n\r\n"


def request(line: str, headers: str = "", body: bytes = b"") -> bytes:
    return f"{line} HTTP/1.1\r\nHost: board.example\r\n{headers}\r\n".encode("latin-1") + body


def post(headers: str, body: bytes = b"", *, path: str = "/api/v1/bugs") -> bytes:
    return request(f"POST {path}", JSON + headers, body)


def statuses(answers: bytes) -> list[int]:
    """Of all answers on a connection, in their order."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answers)]


MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x00\xa5\x01\x00" * 30 + b"\r\n\r\n",
    "HTTP/0.9": b"GET /health\r\n\r\n",
    "HTTP/3.0": b"GET /health HTTP/3.0\r\nHost: x\r\n\r\n",
    "raw bytes in the path": b"GET /api/v1/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "raw bytes in the query": b"GET /api/v1/bugs?search=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in a header": request("GET /health", "X-A: a\0b\r\n"),
    "a folded header": request("GET /health", "X-A: a\r\n b\r\n"),
    "two lengths": post("Content-Length: 5\r\nContent-Length: 6\r\n", b"{}    "),
    "a negative length": post("Content-Length: -5\r\n"),
    "an endless length": post(f"Content-Length: {'9' * 30}\r\n"),
    "a huge header": request("GET /health", f"X-A: {'a' * 500_000}\r\n"),
    "a huge path": request(f"GET /health?{'a' * 70_000}"),
    "2000 headers": request("GET /health", "".join(f"X-{n}: a\r\n" for n in range(2000))),
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_no_request_is_refused_and_the_connection_closed(board: Board, sent: bytes) -> None:
    answers = await board.exchange(sent + NEXT)
    assert len(statuses(answers)) == 1
    assert statuses(answers)[0] in (400, 414, 431)


ODD = {
    "an absolute URI": (request("GET http://elsewhere.example/health", CLOSE), 200),
    "an asterisk": (request("OPTIONS *", CLOSE), 404),
    "CONNECT": (request("CONNECT elsewhere.example:80", CLOSE), 404),
    "TRACE": (request("TRACE /health", CLOSE), 405),
    "an unknown method": (request("FROB /health", CLOSE), 405),
    "HTTP/1.0": (b"GET /health HTTP/1.0\r\n\r\n", 200),
    "HTTP/2 by upgrade": (request("GET /health", "Upgrade: h2c\r\nConnection: Upgrade, close\r\n"), 200),
    "bytes that are no UTF-8 in the path": (request("GET /api/v1/bugs/%ff%fe", CLOSE), 400),
    "NUL in the path": (request("GET /api/v1/bugs/%00", CLOSE), 400),
    "no escape in the path": (request("GET /api/v1/bugs/%zz", CLOSE), 400),
    "a way up": (request("GET /uploads/bugs/..%2f..%2fsecret", CLOSE), 404),
    "a host in the path": (request("GET //elsewhere.example/health", CLOSE), 404),
    "bytes in Authorization": (request("GET /api/v1/bugs", f"Authorization: Bearer \xff\r\n{CLOSE}"), 401),
    "two credentials": (
        request("GET /api/v1/bugs", f"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n{CLOSE}"),
        401,
    ),
    "two hosts": (request("GET /health", f"Host: board.example\r\n{CLOSE}"), 400),
    "two types of a body": (
        post(f"Content-Type: text/plain\r\nContent-Length: 2\r\n{CLOSE}", b"{}"),
        415,
    ),
    "bytes in other headers": (
        request("GET /api/v1/bugs", f"X-Request-ID: \xff\r\nIf-None-Match: \xff\r\nCookie: \xff\r\n{CLOSE}"),
        200,
    ),
    "bytes in the content type": (
        request(
            "POST /api/v1/bugs", f"Content-Type: application/json\xff\r\nContent-Length: 2\r\n{CLOSE}", b"{}"
        ),
        415,
    ),
    "length and chunks": (
        post(f"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n{CLOSE}", b"0\r\n\r\n"),
        400,
    ),
    "a broken chunk": (post(f"Transfer-Encoding: chunked\r\n{CLOSE}", b"zz\r\n{}\r\n0\r\n\r\n"), 400),
    "a coding that we do not read": (
        post(f"Transfer-Encoding: gzip, chunked\r\n{CLOSE}", b"2\r\n{}\r\n0\r\n\r\n"),
        400,
    ),
    "an expectation that nobody knows": (
        post(f"Expect: the-unexpected\r\nContent-Length: 2\r\n{CLOSE}", b"{}"),
        400,
    ),
}


@pytest.mark.parametrize(("sent", "status"), ODD.values(), ids=ODD.keys())
async def test_what_is_odd_is_answered_like_anything_else(board: Board, sent: bytes, status: int) -> None:
    answers = await board.exchange(sent)
    assert statuses(answers) == [status]
    if status >= 400:
        error = json.loads(answers.partition(b"\r\n\r\n")[2])["error"]
        assert {"code", "message", "timestamp"} <= set(error)


async def test_requests_in_a_row_are_answered_in_a_row(board: Board) -> None:
    answers = await board.exchange(request("GET /health") + request("GET /nothing") + NEXT)
    assert statuses(answers) == [200, 404, 200]


async def test_head_has_the_headers_of_get_and_no_body(board: Board) -> None:
    for path in ("/health", "/docs", "/api/v1/config", "/api/v1/bugs", "/api/v1/tags", "/nothing"):
        answers = await board.exchange(request(f"HEAD {path}") + NEXT)
        head, _, rest = answers.partition(b"\r\n\r\n")
        full = (await board.exchange(request(f"GET {path}", CLOSE))).partition(b"\r\n\r\n")
        assert statuses(head) == statuses(full[0])
        assert rest.startswith(b"HTTP/1.1 200")
        assert length(head) == length(full[0]) == len(full[2])


async def test_head_of_a_body_that_changes_has_the_length_it_would_have_now(board: Board) -> None:
    """`/ready` tells seconds and counts, so that two answers in a row may differ in length."""
    answers = await board.exchange(request("HEAD /ready") + NEXT)
    head, _, rest = answers.partition(b"\r\n\r\n")
    assert statuses(head) == [200]
    assert rest.startswith(b"HTTP/1.1 200")
    assert length(head) > 0


def length(head: bytes) -> int:
    found = re.search(rb"content-length: (\d+)", head)
    assert found is not None
    return int(found[1])


async def test_continue_is_sent_when_the_body_is_wanted_and_only_then(board: Board) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", board.port)
    body = json.dumps(a_report()).encode()
    writer.write(post(f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n{CLOSE}"))
    assert statuses(await reader.readuntil(b"\r\n\r\n")) == [100]
    writer.write(body)
    assert statuses(await reader.read()) == [201]
    writer.close()
    too_long = await board.exchange(post("Expect: 100-continue\r\nContent-Length: 2000000\r\n"))
    assert statuses(too_long) == [413]


async def test_a_body_that_is_announced_too_long_is_not_read(board: Board) -> None:
    for path in ("/api/v1/bugs", "/api/v1/auth/login"):
        answers = await board.exchange(post("Content-Length: 2000000\r\n", path=path))
        assert statuses(answers) == [413]


async def test_the_rest_of_a_body_after_an_early_response_is_not_taken_for_a_request(board: Board) -> None:
    smuggled = request("GET /api/v1/config").ljust(2_000_000, b"x")
    answers = await board.exchange(post(f"Content-Length: {len(smuggled)}\r\n") + smuggled + NEXT)
    assert statuses(answers) == [413]
    small = request("GET /api/v1/config")
    answers = await board.exchange(
        request("PATCH /api/v1/users/me", f"{JSON}Content-Length: {len(small)}\r\n") + small + NEXT
    )
    assert statuses(answers)[1:] == [200]  # that of NEXT
    assert b"site_name" not in answers


async def test_an_endless_body_is_refused_without_reading_on(board: Board) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", board.port)
    writer.write(post("Transfer-Encoding: chunked\r\n"))
    sent = 0
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    try:
        while sent < 64 * 1024 * 1024:
            writer.write(piece)
            await asyncio.wait_for(writer.drain(), 5)
            sent += len(piece)
    except OSError:
        pass
    assert sent < 16 * 1024 * 1024  # buffers of two sockets, not the stream
    writer.close()


@pytest.mark.parametrize("path", ["/api/v1/bugs", "/api/v1/auth/login"])
async def test_compressed_bodies_are_refused_unread(board: Board, path: str) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    async with board.visitor() as visitor:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        response = await visitor.post(path, content=bomb[:500_000], headers=headers)
    assert response.status_code in (400, 415)


async def test_20000_parts_are_refused(board: Board) -> None:
    async with board.visitor() as visitor:
        person = await register(visitor, "multipart")
        bug = (await visitor.post("/api/v1/bugs", json=a_report(), headers=person.headers)).json()["bug"]
        part = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        response = await visitor.post(
            f"/api/v1/bugs/{bug['id']}/attachments",
            content=part * 20_000 + "--x--\r\n",
            headers={**person.headers, "Content-Type": "multipart/form-data; boundary=x"},
        )
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "VALIDATION_ERROR"


async def test_nobody_chooses_their_own_address(start_board: StartBoard) -> None:
    board = start_board(RATE_LIMIT_GENERAL="5/minute")
    async with board.visitor() as visitor:
        spoofed = [
            {
                "X-Forwarded-For": f"198.51.100.{n}",
                "X-Real-IP": f"198.51.100.{n}",
                "Forwarded": f"for=198.51.100.{n}",
            }
            for n in range(8)
        ]
        found = [(await visitor.get("/api/v1/config", headers=headers)).status_code for headers in spoofed]
    assert found == [200] * 5 + [429] * 3


async def test_a_trusted_proxy_names_the_address(start_board: StartBoard) -> None:
    board = start_board(RATE_LIMIT_GENERAL="1/minute", TRUSTED_PROXIES="127.0.0.0/8")
    async with board.visitor() as visitor:
        found = [
            (await visitor.get("/api/v1/config", headers={"X-Forwarded-For": f"203.0.113.9, 198.51.100.{n}"}))
            for n in (1, 2, 2)
        ]
    assert [response.status_code for response in found] == [200, 200, 429]


@pytest.fixture(scope="module")
def public_board(
    postgres: Postgres, own_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Board]:
    """One that knows its name and the origin of its pages."""
    board = Board(
        database_url=postgres.url,
        redis_url=own_valkey.url,
        home=tmp_path_factory.mktemp("public"),
        ALLOWED_HOSTS="board.example,127.0.0.1",
        CORS_ALLOW_ORIGINS="https://pages.example",
    )
    board.start()
    yield board
    board.remove()
    assert board.complaints() == []


async def test_only_our_own_names_are_answered_to(public_board: Board) -> None:

    def asked(hosts: str) -> Any:
        return public_board.exchange(f"GET /api/v1/config HTTP/1.1\r\n{hosts}{CLOSE}\r\n".encode())

    assert statuses(await asked("Host: board.example\r\n")) == [200]
    assert statuses(await asked("Host: Board.Example:8000\r\n")) == [200]
    for hosts in ("Host: evil.example\r\n", "", "Host: board.example\r\nHost: evil.example\r\n"):
        assert statuses(await asked(hosts)) == [400]


async def test_a_browser_may_read_what_it_has_already(public_board: Board) -> None:
    async with public_board.visitor(headers={"Origin": "https://pages.example"}) as visitor:
        first = await visitor.get("/api/v1/config")
        again = await visitor.get("/api/v1/config", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["access-control-allow-origin"] == "https://pages.example"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip", "gzip"), ("br, GZIP;q=0.5", "gzip"), ("gzip;q=0", None), ("gzip; q=0.000", None), ("", None)],
)
async def test_compression_is_what_the_client_accepts(
    board: Board, accepted: str, encoding: str | None
) -> None:
    async with httpx.AsyncClient(base_url=board.url, trust_env=False) as visitor:
        response = await visitor.get("/docs/openapi.json", headers={"Accept-Encoding": accepted})
    assert response.status_code == 200
    assert response.headers.get("content-encoding") == encoding
