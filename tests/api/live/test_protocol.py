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
from bugrelay.http.websocket import Budget, CloseCode, Refused


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
def test_what_a_client_may_say(content: bytes, message: ClientMessage) -> None:
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
def test_anything_else_is_not_understood(content: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_message(content)
    assert refused.value.code == CloseCode.NOT_UNDERSTOOD


@pytest.mark.parametrize("name", ["a", "A-Z_0.9", "x" * 64])
def test_names_of_clients(name: str) -> None:
    check_client_id(name)


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "é", "a\n", "a/b", "a%20b"])
def test_what_names_no_client(name: str) -> None:
    with pytest.raises(Refused) as refused:
        check_client_id(name)
    assert refused.value.code == CloseCode.NOT_UNDERSTOOD


def code_at(schedule: Schedule, now: float) -> CloseCode:
    with pytest.raises(Refused) as refused:
        schedule.is_ping_due(now)
    return refused.value.code


def test_who_does_not_sign_in_in_time_is_closed() -> None:
    schedule = Schedule(100.0)
    assert schedule.next_at == 100 + AUTH_SECONDS
    assert not schedule.is_ping_due(100 + AUTH_SECONDS - 0.1)
    schedule.heard(100 + AUTH_SECONDS - 0.1)
    assert code_at(schedule, 100 + AUTH_SECONDS) == CloseCode.UNAUTHENTICATED


def test_a_heartbeat_goes_out_and_silence_ends_the_connection() -> None:
    schedule = Schedule(0.0)
    schedule.signed_in(token_ends=10_000)
    assert schedule.next_at == HEARTBEAT_SECONDS
    assert schedule.is_ping_due(HEARTBEAT_SECONDS)
    assert not schedule.is_ping_due(HEARTBEAT_SECONDS)
    assert schedule.next_at == 2 * HEARTBEAT_SECONDS
    schedule.heard(HEARTBEAT_SECONDS + 1)
    assert schedule.is_ping_due(3 * HEARTBEAT_SECONDS)
    assert schedule.next_at == HEARTBEAT_SECONDS + 1 + SILENCE_SECONDS
    assert code_at(schedule, schedule.next_at) == CloseCode.TOO_SLOW


def test_a_token_that_ends_ends_the_connection_unless_another_came_before() -> None:
    schedule = Schedule(0.0)
    schedule.signed_in(token_ends=20)
    assert schedule.next_at == 20
    schedule.signed_in(token_ends=22)
    assert not schedule.is_ping_due(21)
    assert code_at(schedule, 22) == CloseCode.UNAUTHENTICATED


def test_messages_are_bounded_in_any_second() -> None:
    budget = Budget(3, 1.0)
    assert [budget.spend(now) for now in (10.0, 10.5, 10.9)] == [True] * 3
    assert not budget.spend(10.99)
    assert budget.spend(11.0)
    assert not budget.spend(11.4)
    assert budget.spend(11.5)
