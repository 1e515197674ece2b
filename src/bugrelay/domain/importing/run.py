"""Runs an import in batches, each in one transaction, so that a killed import can be repeated.

The next batch is prepared in a thread while PostgreSQL writes the current one: most of the work is rendering Markdown
here and building search documents there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from bugrelay.domain.importing import repository, writer
from bugrelay.domain.importing.normaliser import Draft, UnusableLine, shape
from bugrelay.domain.importing.reader import Line
from bugrelay.domain.importing.summary import Summary
from bugrelay.infra.db.database import Database
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import EventBus
from bugrelay.infra.text.markdown import render

BATCH_LINES = 500
BATCH_BYTES = 4 * 1024 * 1024


async def import_bugs(
    lines: Iterable[Line],
    summary: Summary,
    *,
    database: Database,
    bus: EventBus,
    on_batch: Callable[[], None],
) -> None:
    """Import the bugs of the lines; bugs that exist already, by their external ids, are not changed.

    Args:
        lines: Iterated once, in a thread.
        summary: Updated after each commit, so that it is correct for an aborted import, too.
        database: The primary.
        bus: Publishes the facts.
        on_batch: Called after each batch.

    Raises:
        ServiceUnavailable: PostgreSQL is unavailable; earlier batches are committed.
    """
    batches = _batches(lines)
    preparing = asyncio.create_task(_prepare(database, batches, summary))
    try:
        while (bugs := await preparing) is not None:
            preparing = asyncio.create_task(_prepare(database, batches, summary))
            await _write(UnitOfWork(database, bus), bugs, summary)
            on_batch()
    finally:
        preparing.cancel()


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    size_bytes = 0
    for line in lines:
        batch.append(line)
        size_bytes += len(line.content)
        if len(batch) == BATCH_LINES or size_bytes > BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


async def _prepare(
    database: Database, batches: Iterator[list[Line]], summary: Summary
) -> list[writer.ReadyBug] | None:
    """The new bugs of the next batch, rendered; None at the end."""
    drafts = await asyncio.to_thread(_next_drafts, batches, summary)
    if drafts is None:
        return None
    known = await repository.known_external_ids(database, list(drafts))
    summary.already_there += len(known)
    new = [draft for external_id, draft in drafts.items() if external_id not in known]
    return await asyncio.to_thread(_rendered, new)


def _next_drafts(batches: Iterator[list[Line]], summary: Summary) -> dict[str, Draft] | None:
    """The drafts of the next batch by external id, of which the first line counts; None at the end."""
    batch = next(batches, None)
    if batch is None:
        return None
    drafts: dict[str, Draft] = {}
    now = datetime.now(UTC)
    for line in batch:
        try:
            draft = _shaped(line, now)
        except UnusableLine as problem:
            summary.refuse(line.number, str(problem))
            continue
        if drafts.setdefault(draft.external_id, draft) is not draft:
            summary.already_there += 1
    return drafts


def _shaped(line: Line, now: datetime) -> Draft:
    if line.problem is not None:
        raise UnusableLine(line.problem)
    return shape(line.content, now=now)


def _rendered(drafts: list[Draft]) -> list[writer.ReadyBug]:
    return [writer.ReadyBug(draft, render(draft.description)) for draft in drafts]


async def _write(work: UnitOfWork, bugs: list[writer.ReadyBug], summary: Summary) -> None:
    if not bugs:
        return
    async with work:
        written = await writer.put_on_board(work, bugs)
    summary.imported += len(written)
    summary.already_there += len(bugs) - len(written)
    for bug in bugs:
        if bug.draft.external_id in written:
            summary.changes.update(bug.draft.changes)
