"""What is understood of a client, and when what is due: numbers stand for the clock."""

from __future__ import annotations

import pytest

from bugrelay.api.live.protocol import (
    AUTH_SECONDS,
    HEARTBEAT_SECONDS,
    SILENCE_SECONDS,
    Auth,
    ClientMessage,
    Pong,
    Schedule,
    Subscribe,
    check_client_id,
    read_message,
)
from bugrelay.http.websocket import CloseCode, Refused, SlidingWindow


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"type": "auth", "token": "t"}', Auth("t")),
        (
            b'{"token": "t", "company": "paper.example", "type": "auth", "unknown": [1]}',
            Auth("t", "paper.example"),
        ),
        (b'{"type": "subscribe"}', Subscribe()),
        (
            b'{"type": "subscribe", "since": 0, "types": ["ticket.created"]}',
            Subscribe(0, types=["ticket.created"]),
        ),
        (b'{"type": "pong", "at": 1}', Pong()),
    ],
)
def test_valid_messages_are_read(content: bytes, message: ClientMessage) -> None:
    assert read_message(content) == message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"pong",
        b'{"type": "hello"}',
        b'{"type": ["pong"]}',
        b'{"type": "auth"}',
        b'{"type": "auth", "token": null}',
        b'{"type": "auth", "token": "\\ud800"}',
        b'{"type": "subscribe", "since": -1}',
        b'{"type": "subscribe", "since": 1.5}',
        b'{"type": "subscribe", "since": true}',
        b'{"type": "subscribe", "since": 9223372036854775808}',
        b'{"type": "subscribe", "since": ' + b"9" * 10_000 + b"}",
        b'{"type": "subscribe", "projects": "all"}',
        b'{"type": "pong", "deep": ' + b"[" * 16_000,
        b'{"type": "pong", "deep": ' + b"[" * 8_000 + b"]" * 8_000 + b"}",
    ],
)
def test_invalid_messages_are_refused(content: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_message(content)
    assert refused.value.code == CloseCode.INVALID


def test_an_unknown_type_is_refused_by_its_name() -> None:
    with pytest.raises(Refused, match=r"'ticket\.close'.*types") as refused:
        read_message(b'{"type": "subscribe", "types": ["ticket.created", "ticket.close"]}')
    assert refused.value.code == CloseCode.INVALID


@pytest.mark.parametrize("name", ["a", "A-Z_0.9", "x" * 64])
def test_valid_client_ids_are_accepted(name: str) -> None:
    check_client_id(name)


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "é", "a\n", "a/b", "a%20b"])
def test_invalid_client_ids_are_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        check_client_id(name)
    assert refused.value.code == CloseCode.INVALID


def code_at(schedule: Schedule, now: float) -> CloseCode:
    with pytest.raises(Refused) as refused:
        schedule.is_ping_due(now)
    return refused.value.code


def test_a_client_that_does_not_authenticate_in_time_is_closed() -> None:
    schedule = Schedule(100.0)
    assert schedule.next_at == 100 + AUTH_SECONDS
    assert not schedule.is_ping_due(100 + AUTH_SECONDS - 0.1)
    schedule.received(100 + AUTH_SECONDS - 0.1)
    assert code_at(schedule, 100 + AUTH_SECONDS) == CloseCode.UNAUTHENTICATED


def test_pings_are_sent_and_silence_ends_the_connection() -> None:
    schedule = Schedule(0.0)
    schedule.authenticated(token_ends=10_000)
    assert schedule.next_at == HEARTBEAT_SECONDS
    assert schedule.is_ping_due(HEARTBEAT_SECONDS)
    assert not schedule.is_ping_due(HEARTBEAT_SECONDS)
    assert schedule.next_at == 2 * HEARTBEAT_SECONDS
    schedule.received(HEARTBEAT_SECONDS + 1)
    assert schedule.is_ping_due(3 * HEARTBEAT_SECONDS)
    assert schedule.next_at == HEARTBEAT_SECONDS + 1 + SILENCE_SECONDS
    assert code_at(schedule, schedule.next_at) == CloseCode.TOO_SLOW


def test_an_expired_token_ends_the_connection_unless_it_was_renewed() -> None:
    schedule = Schedule(0.0)
    schedule.authenticated(token_ends=20)
    assert schedule.next_at == 20
    schedule.authenticated(token_ends=22)
    assert not schedule.is_ping_due(21)
    assert code_at(schedule, 22) == CloseCode.UNAUTHENTICATED


def test_messages_are_limited_in_any_window_of_a_second() -> None:
    window = SlidingWindow(3, 1.0)
    assert [window.allow(now) for now in (10.0, 10.5, 10.9)] == [True] * 3
    assert not window.allow(10.99)
    assert window.allow(11.0)
    assert not window.allow(11.4)
    assert window.allow(11.5)
