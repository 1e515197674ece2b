"""A worker with one consumer more, which notes each event that it is given: `python -m tests.faults.noting_worker NAME`.

Its notes are the effects that an event has once: rows in the transaction that moves the cursor.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from sqlalchemy import insert
from sqlalchemy import table as named
from sqlalchemy.sql import column

from bugrelay import worker
from bugrelay.domain.events.consumers import Consumer
from bugrelay.domain.events.schemas import Event
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.plugin import DomainPlugin
from bugrelay.settings import load_settings

TABLE = "CREATE TABLE {} (stream uuid, seq bigint, no bigint GENERATED ALWAYS AS IDENTITY)"


def noting(name: str) -> Consumer:
    notes = named(name, column("stream"), column("seq"))

    async def note(work: UnitOfWork, events: Sequence[Event]) -> None:
        rows = [{"stream": event.stream, "seq": event.seq} for event in events]
        await work.session.execute(insert(notes), rows)

    return Consumer(name, note)


if __name__ == "__main__":
    consumer = noting(sys.argv[1])
    worker.DOMAINS = (*worker.DOMAINS, DomainPlugin(consumers=lambda _platform: (consumer,)))  # type: ignore[attr-defined]
    asyncio.run(worker.work(load_settings()))
