"""The event log for operators: `bugrelay events`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import msgspec

from bugrelay.domain.companies import repository as companies
from bugrelay.domain.companies.errors import CompanyNotFound
from bugrelay.domain.live import repository
from bugrelay.domain.live.cursors import BoardCursor, with_cursors
from bugrelay.domain.live.repository import PrintedEvent
from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.db.query import Reader
from bugrelay.infra.ids import parse_id

PAGE = 500
POLL_SECONDS = 1.0


async def stream_named(reader: Reader, name: str) -> UUID:
    """The stream of a company, by its id or domain.

    Raises:
        CompanyNotFound
    """
    company_id = parse_id(name)
    if company_id is not None:
        found = await companies.company_state(reader, company_id)
    else:
        found = await companies.company_at_domain(reader, name.strip().lower())
    if found is None:
        raise CompanyNotFound
    return found.id


async def follow_log(
    reader: Reader, *, stream: UUID | None, last: int, woken: asyncio.Event | None
) -> AsyncIterator[PrintedEvent]:
    """The last events of all streams, or of one, in order of time, and then new ones.

    Args:
        reader: The primary. While it is unavailable, it is retried.
        stream: The one; None: all.
        last: The number of past events.
        woken: Set when there may be new events, which are polled each second anyway; None: do not follow.
    """
    cursor = await _cursor_before(reader, stream=stream, last=last)
    while True:
        try:
            settled = await repository.settled_moment(reader)
            events = await repository.all_events(reader, cursor, stream=stream, limit=PAGE)
        except ServiceUnavailable:
            if woken is None:
                raise
            await asyncio.sleep(POLL_SECONDS)
            continue
        is_all = len(events) < PAGE
        for event, after in with_cursors(cursor, events, settled=settled, is_all=is_all):
            cursor = after
            yield event
        if not events:
            cursor = cursor.settled(settled)
        if is_all and woken is None:
            return
        if is_all and woken is not None:
            await _wait_for(woken)


async def _cursor_before(reader: Reader, *, stream: UUID | None, last: int) -> BoardCursor:
    settled = await repository.settled_moment(reader)
    if last == 0:
        return await repository.end_of_log(reader)
    first = await repository.moment_of_latest(reader, stream=stream, back=last - 1)
    if first is None:  # there are fewer
        return BoardCursor(settled - timedelta(days=36_500))
    return BoardCursor(min(settled, first - timedelta(microseconds=1)))


async def _wait_for(woken: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL_SECONDS):
            await woken.wait()
    woken.clear()


def format_line(event: PrintedEvent) -> str:
    """Time, company, number, type, actor or agent, subject and data of the event, separated by two spaces."""
    parts = [
        event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        event.domain or "the board",
        str(event.seq),
        event.type if event.visibility != "internal" else f"{event.type} (internal)",
        event.username or event.agent or "-",
        event.subject or "-",
        msgspec.json.encode(event.data).decode(),
    ]
    return "  ".join(parts)
