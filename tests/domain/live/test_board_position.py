"""Positions on the board skip nothing that commits late, and are short."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from bugrelay.domain.live import repository
from bugrelay.domain.live.cursors import BoardCursor, with_cursors
from bugrelay.domain.live.schemas import LoggedEvent
from bugrelay.infra.platform import Platform

Sql = psycopg.Connection[Any]
BUG = "01a1fbf5-dbb1-76ac-bd8d-7a78fe5a99c8"


def write(sql: Sql, stream: UUID, **changes: Any) -> None:
    entry = {
        "stream": str(stream),
        "type": "bug.edited",
        "bug_id": BUG,
        "visibility": "public",
        "data": {},
        "cause": {"kind": "user", "chain": []},
    }
    sql.execute("SELECT log_events(%s)", (json.dumps([entry | changes]),))


@contextmanager
def uncommitted(url: str) -> Iterator[Sql]:
    """A transaction; it is committed at the end of the block."""
    with psycopg.connect(url) as connection:
        yield connection


async def read(
    platform: Platform, cursor: BoardCursor, *, limit: int = 100, bug_id: UUID | None = None
) -> list[tuple[LoggedEvent, BoardCursor]]:
    settled = await repository.settled_moment(platform.database)
    events = await repository.board_events(platform.database, cursor, bug_id=bug_id, limit=limit)
    return list(with_cursors(cursor, events, settled=settled, is_all=len(events) < limit))


def names(steps: list[tuple[LoggedEvent, BoardCursor]]) -> list[tuple[UUID, int]]:
    return [(event.stream, event.seq) for event, _ in steps]


async def test_an_event_that_commits_late_is_sent_once_wherever_a_client_resumes(
    platform: Platform, sql: Sql, database_url: str
) -> None:
    early, late, other = uuid4(), uuid4(), uuid4()
    beginning = await repository.end_of_log(platform.database)
    write(sql, early)
    with uncommitted(database_url) as slow:
        write(slow, late)  # its time is before that of what follows, and it is committed after it
        write(sql, early)
        write(sql, other)
        told = await read(platform, beginning)
        assert names(told) == [(early, 1), (early, 2), (other, 1)]
        write(sql, other)
        then = await read(platform, told[-1][1])
        assert names(then) == [(other, 2)]
    for position, missing in [
        (told[0][1], [(late, 1), (early, 2), (other, 1), (other, 2)]),
        (told[1][1], [(late, 1), (other, 1), (other, 2)]),
        (told[2][1], [(late, 1), (other, 2)]),
        (then[0][1], [(late, 1)]),
    ]:
        resumed = await read(platform, BoardCursor.parse(str(position)))
        assert names(resumed) == missing
        of_bug = await read(platform, BoardCursor.parse(str(position)), bug_id=UUID(BUG))
        assert names(of_bug) == missing
        assert resumed[-1][1].read == {}  # nobody writes any more
        assert await read(platform, resumed[-1][1]) == []


async def test_cursors_are_short_however_many_streams_there_are(platform: Platform, sql: Sql) -> None:
    beginning = await repository.end_of_log(platform.database)
    streams = [uuid4() for _ in range(150)]
    for stream in streams:
        write(sql, stream)
    cursor, told = beginning, []
    while steps := await read(platform, cursor, limit=40):
        told += steps
        cursor = steps[-1][1]
    assert names(told) == [(stream, 1) for stream in streams]
    assert max(len(str(position)) for _, position in told) < 200
    for place in range(0, 150, 7):
        resumed = await read(platform, BoardCursor.parse(str(told[place][1])), limit=500)
        assert names(resumed) == names(told)[place + 1 :]


async def test_private_events_and_events_recorded_later_are_left_out(platform: Platform, sql: Sql) -> None:
    beginning = await repository.end_of_log(platform.database)
    stream = uuid4()
    write(sql, stream, visibility="tenant")
    write(sql, stream, bug_id=None)
    write(sql, stream, cause={"kind": "user", "chain": [], "recorded_later": "2026-01-01T00:00:00Z"})
    write(sql, stream)
    assert names(await read(platform, beginning)) == [(stream, 4)]


NO_NUMBERS = [
    "kgGRk8QQAAAAAAAAAAAAAAAAAAAAAc___________wE",  # 2^64 - 1, of a stream
    "kgGRk8QQAAAAAAAAAAAAAAAAAAAAAc-AAAAAAAAAAAE",  # 2^63
    "kgGRk8QQAAAAAAAAAAAAAAAAAAAAAf8B",  # -1
]


@pytest.mark.parametrize("text", ["", "x", "AAAA", "é", "_" * 20_000, "kgHBkw", *NO_NUMBERS])
def test_an_invalid_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be the id of an event"):
        BoardCursor.parse(text)
