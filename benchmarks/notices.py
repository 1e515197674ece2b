"""`python -m benchmarks.notices [--people N]`: how long notifying many followers takes, and how it affects readers.

A new board has one bug that everybody follows, with verified addresses and a mail for each event. A worker process
notifies them; meanwhile four readers query the database for pages and details without a pause, as they did before.
Mails are written to files.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import uvloop

from benchmarks.client import percentile
from benchmarks.generate import say
from benchmarks.home import ENVIRONMENT
from benchmarks.servers import working
from bugrelay.bootstrap import build
from bugrelay.domain.bugs.repository import find_bug
from bugrelay.domain.bugs.schemas import BugQuery
from bugrelay.domain.bugs.search.service import list_bugs
from bugrelay.domain.events.schemas import SHARED_STREAMS, Event
from bugrelay.domain.notifications.service.announcing import announce_to
from bugrelay.embedded import temporary
from bugrelay.infra.db.database import libpq_url
from bugrelay.infra.platform import Platform
from bugrelay.migrate import migrate
from bugrelay.settings import Settings, load_settings

READERS = 4
BUGS = 2_000
BASELINE_SECONDS = 15.0

_BOARD: LiteralString = """
WITH app AS (
    INSERT INTO applications (id, name, name_key, domain) VALUES (gen_random_uuid(), 'Bench', 'bench', '') RETURNING id
), put AS (
    INSERT INTO bugs (id, title, application_id, created_at)
    SELECT gen_random_uuid(), 'A bug like number ' || n, app.id, now() - n * interval '1 minute'
    FROM app, generate_series(1, %(bugs)s) n RETURNING id
)
INSERT INTO bug_texts (bug_id, description, description_html)
SELECT id, repeat('It happens when a draft is saved. ', 10), '' FROM put
"""
_PEOPLE: LiteralString = """
WITH people AS (
    INSERT INTO users (id, email, email_key, username, is_email_verified)
    SELECT id, id || '@people.example', id || '@people.example', left(replace(id::text, '-', ''), 30), true
    FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, %(people)s)) x RETURNING id
)
INSERT INTO bug_subscriptions (bug_id, user_id, level) SELECT %(bug)s, id, 'all' FROM people
"""


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.notices", description=__doc__)
    parser.add_argument("--people", type=int, default=100_000, help="followers (default: %(default)s)")
    people: int = parser.parse_args().people
    with tempfile.TemporaryDirectory() as home, temporary() as urls:
        servers = {"DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url, "BUGRELAY_HOME": home}
        environment = {**ENVIRONMENT, **servers}
        settings = load_settings(environment)
        migrate(settings)
        bug_id = _put(settings, people)
        with working(environment, log=Path(home) / "worker.log"):
            uvloop.run(_measure(replace(settings, workers=1), bug_id, people))


def _put(settings: Settings, people: int) -> UUID:
    """Create a board with followers; returns the bug that they follow."""
    with psycopg.connect(libpq_url(settings.database_url), autocommit=True) as connection:
        connection.execute(_BOARD, {"bugs": BUGS})
        (bug_id,) = connection.execute("SELECT id FROM bugs LIMIT 1").fetchone() or ()
        connection.execute(_PEOPLE, {"people": people, "bug": bug_id})
        connection.execute("VACUUM ANALYZE")
    say(f"{people:,} people follow a bug")
    return UUID(str(bug_id))


async def _measure(settings: Settings, bug_id: UUID, people: int) -> None:
    platform = build(settings)
    await asyncio.sleep(5)  # the worker starts, and runs its first periodic jobs
    before = await _read(platform, bug_id, until=asyncio.create_task(asyncio.sleep(BASELINE_SECONDS)))
    began = time.monotonic()
    await _announce(platform, bug_id)
    meanwhile = await _read(platform, bug_id, until=asyncio.create_task(_finished(settings)))
    seconds = time.monotonic() - began
    await platform.close()
    ratio = percentile(meanwhile, 95) / percentile(before, 95)
    print(f"{people:,} notified in {seconds:.1f} s, {people / seconds:,.0f} a second")
    print(
        f"p95 of reads {ratio:.2f}x: {_ms(meanwhile)} of {len(meanwhile):,}, {_ms(before)} of {len(before):,} before"
    )


def _ms(seconds: list[float]) -> str:
    return f"{percentile(seconds, 95) * 1000:.1f} ms"


async def _announce(platform: Platform, bug_id: UUID) -> None:
    changed = {"from": "open", "to": "fixed"}
    cause = {"kind": "user", "chain": []}
    event = Event(
        SHARED_STREAMS[0], 1, "status.changed", datetime.now(UTC), None, bug_id, None, None, None, "public",
        changed, cause,
    )  # fmt: skip
    async with platform.work() as work:
        await announce_to(platform.jobs)(work, [event])


async def _read(platform: Platform, bug_id: UUID, *, until: asyncio.Task[Any]) -> list[float]:
    """The durations of all reads, sorted, of readers that continue until the task is done."""
    took: list[float] = []

    async def read() -> None:
        while not until.done():
            began = time.perf_counter()
            async with platform.database.reading() as reader:
                await list_bugs(reader, platform.counts, BugQuery())
                await find_bug(reader, bug_id)
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(read() for _ in range(READERS)))
    return sorted(took)


async def _finished(settings: Settings) -> None:
    async with await psycopg.AsyncConnection.connect(
        libpq_url(settings.database_url), autocommit=True
    ) as connection:
        while True:
            cursor = await connection.execute("SELECT FROM notice_fan_outs WHERE finished_at IS NULL")
            if not cursor.rowcount:
                return
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    main()
