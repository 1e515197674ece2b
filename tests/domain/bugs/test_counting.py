"""Totals of many bugs: kept by a job where every process finds them, exact, and never counted by a reader."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.bootstrap import build
from bugrelay.domain.bugs.schemas import BugQuery
from bugrelay.domain.bugs.search.service import list_bugs
from bugrelay.domain.bugs.tasks import TASKS, count_total, keep_totals
from bugrelay.infra import incremental_counts
from bugrelay.infra.db.query import Query, Reader, RowT, SnapshotReader, Values
from bugrelay.infra.jobs.tasks import Tasks
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.factories import report
from tests.infra.mail.postbox import comes_true, working

Sql = psycopg.Connection[Any]
NO_REDIS = "redis://127.0.0.1:1"
COUNTING = Tasks(by_name={name: task for name, task in TASKS.by_name.items() if name == "bugs.count_total"})


class Watched(SnapshotReader):
    """A reader, and whether it has counted documents."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.counted = False

    async def rows(self, query: Query[RowT], values: Values | None = None) -> Sequence[RowT]:
        self.counted |= "count(*)" in query.sql
        return await self._reader.rows(query, values)

    def snapshot(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()


@asynccontextmanager
async def process(settings: Settings, **changes: Any) -> AsyncIterator[Platform]:
    """A server process that has just started."""
    platform = build(replace(settings, **changes))
    await platform.start()
    try:
        yield platform
    finally:
        await platform.close()


async def total_of(platform: Platform, **wanted: Any) -> tuple[int, bool]:
    """The total of a list, and whether its reader counted."""
    reader = Watched(platform.database)
    query = BugQuery(**wanted)
    page = await list_bugs(reader, platform.counts, query)
    return page.total, reader.counted


@pytest.fixture
async def board(client: httpx.AsyncClient, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five bugs, of which four crash, and that many are too many to count."""
    monkeypatch.setattr(incremental_counts, "MAX_COUNTED_HERE", 3)
    monkeypatch.setattr(incremental_counts, "WAIT_SECONDS", 20.0)  # however busy the machine is
    for title in (
        "Crash at start",
        "Crash at the end",
        "Crash in between",
        "A crash again",
        "Letters too small",
    ):
        await report(client, title=title, tags=["drafts"])
    sql.execute("ANALYZE bug_search")


LISTS: tuple[tuple[dict[str, Any], int], ...] = (
    ({}, 5),
    ({"search": "crash"}, 4),
    ({"status": "open"}, 5),
    ({"tags": "drafts"}, 5),
)


@pytest.mark.parametrize("redis", [True, False], ids=["with Redis", "without Redis"])
@pytest.mark.parametrize(("wanted", "expected"), LISTS, ids=str)
async def test_a_new_process_finds_what_the_job_has_counted(
    settings: Settings,
    board: None,
    client: httpx.AsyncClient,
    wanted: dict[str, Any],
    expected: int,
    redis: bool,
) -> None:
    async with process(settings) as worker:
        await keep_totals(worker)
    await report(client, title="One more crash", tags=["drafts"])
    changes = {} if redis else {"redis_url": NO_REDIS}
    async with process(settings, **changes) as server:
        assert await total_of(server, **wanted) == (expected + 1, False)


async def test_kept_totals_are_carried_forward_and_stay_exact(
    settings: Settings, board: None, client: httpx.AsyncClient, sql: Sql
) -> None:
    async with process(settings) as worker:
        await keep_totals(worker)
        await report(client, title="One more crash")
        before = sql.execute("SELECT max(carried_at) FROM kept_totals").fetchone()
        await keep_totals(worker)
        assert before != sql.execute("SELECT max(carried_at) FROM kept_totals").fetchone()
    sql.execute("TRUNCATE bug_search_changes")  # all of it is in the kept totals now
    async with process(settings, redis_url=NO_REDIS) as server:
        assert await total_of(server, search="crash") == (5, False)


async def test_what_nobody_has_counted_is_counted_by_the_job_and_not_by_its_first_reader(
    settings: Settings, board: None, sql: Sql
) -> None:
    async with working(settings, COUNTING), process(settings) as server:
        # Without a worker that serves, nobody waits for the job.
        await comes_true(lambda: sql.execute("SELECT FROM procrastinate_workers").fetchone() is not None)
        assert await total_of(server, search="crash", status="open", tags="drafts") == (4, False)
    async with process(settings, redis_url=NO_REDIS) as another:
        assert await total_of(another, search="crash", status="open", tags="drafts") == (4, False)


async def test_without_a_worker_the_first_reader_still_has_the_right_total(
    settings: Settings, board: None
) -> None:
    async with process(settings) as server:
        assert await total_of(server, search="crash") == (4, True)
    async with process(settings) as another:  # by Redis
        assert await total_of(another, search="crash") == (4, False)


@pytest.mark.parametrize(
    "what_happens",
    [
        "UPDATE kept_totals SET cluster = 0",  # a dump of another server was restored
        "UPDATE kept_totals SET carried_at = now() - interval '31 minutes'",  # no worker for so long
        "UPDATE bug_search_era SET era = gen_random_uuid()",  # the documents were made anew
    ],
)
async def test_what_cannot_be_carried_forward_is_not_believed_and_counted_again(
    settings: Settings, board: None, sql: Sql, what_happens: str
) -> None:
    async with process(settings, redis_url=NO_REDIS) as worker:
        await keep_totals(worker)
        sql.execute("UPDATE kept_totals SET total = 77")
        sql.execute(what_happens)  # type: ignore[arg-type]
        await keep_totals(worker)
    async with process(settings, redis_url=NO_REDIS) as server:
        assert await total_of(server, search="crash") == (4, False)


async def test_a_restored_board_believes_no_total_from_after_its_backup(
    settings: Settings, board: None, sql: Sql
) -> None:
    async with process(settings) as worker:
        await keep_totals(worker)  # Redis has it as well
    sql.execute("UPDATE kept_totals SET total = 77")
    sql.execute("ALTER TABLE bug_search_era RENAME TO before")
    try:
        sql.execute("CREATE TABLE bug_search_era AS SELECT * FROM before")  # as a restore makes it
        async with process(settings) as server:
            assert await total_of(server, search="crash") == (4, True)
    finally:
        sql.execute("DROP TABLE bug_search_era")
        sql.execute("ALTER TABLE before RENAME TO bug_search_era")


async def test_a_rare_word_is_counted_where_it_is_asked_for(
    settings: Settings, board: None, sql: Sql
) -> None:
    async with process(settings) as server:
        assert await total_of(server, search="letters") == (1, True)
    assert sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)


async def test_a_kept_total_that_is_not_used_is_deleted(settings: Settings, board: None, sql: Sql) -> None:
    kept = "SELECT count(*) FILTER (WHERE asked_at < now() - interval '1 day'), count(*) FROM kept_totals"
    async with process(settings) as worker:
        await keep_totals(worker)
        common = sql.execute(kept).fetchone()
        await count_total(worker, key='[["status"],false,{"search":"\'crash\'","status":"open"}]')
        sql.execute("UPDATE kept_totals SET asked_at = now() - interval '25 hours'")
        await keep_totals(worker)
    assert common is not None
    assert sql.execute(kept).fetchone() == (common[1], common[1])


async def test_a_search_too_long_for_a_key_is_counted_where_it_is_asked_for(
    settings: Settings, board: None, sql: Sql
) -> None:
    long = " or ".join(["crash", *("crashes" * 4 for _ in range(40))])
    async with working(settings, COUNTING), process(settings) as server:
        assert await total_of(server, search=f"{long} -{'x' * 40}") == (4, True)
