"""BugRelay in this process: the only module that knows which functions read a page, cast a vote or report a bug."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg

from bugrelay.bootstrap import build
from bugrelay.domain.bugs.schemas import BugQuery, ReportBug
from bugrelay.domain.bugs.search.service import BugPage, list_bugs
from bugrelay.domain.bugs.search.some_words import SomeWords
from bugrelay.domain.bugs.service.comments import write_comment
from bugrelay.domain.bugs.service.reporting import report_bug
from bugrelay.domain.bugs.service.votes import VoteRequest, vote
from bugrelay.infra.db.query import Query, RowT, SnapshotReader, Values
from bugrelay.infra.events import LastStatement, Recorded
from bugrelay.infra.platform import Platform
from bugrelay.infra.viewer import ANONYMOUS
from bugrelay.settings import Settings

# Marks what a benchmark adds to the board, so that it can be deleted afterwards.
MARK = "benchmark"

_BELONGINGS = """
SELECT c.conrelid::regclass::text, a.attname
FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
WHERE c.contype = 'f' AND c.confrelid = 'bugs'::regclass AND c.confdeltype = 'c'
"""


class Board:
    """The board by its own functions, without HTTP and without cached responses."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    async def page(
        self, reader: SnapshotReader | None = None, *, some_words: SomeWords | None = None, **query: Any
    ) -> BugPage:
        """The data of a response to `GET /bugs`.

        Args:
            reader: Where to read; by default as for a request.
            some_words: How to find bugs with some of the words of a search; by default as for a request.
            query: Parameters of the request.
        """
        if reader is None:
            async with self.platform.database.reading() as own:
                return await self.page(own, some_words=some_words, **query)
        some_words = some_words or SomeWords(self.platform.computing)
        return await list_bugs(reader, self.platform.counts, BugQuery(**query), some_words=some_words)

    async def toggle_vote(self, bug_id: UUID, user_id: UUID) -> None:
        await vote(
            bug_id,
            VoteRequest(user_id, "toggle"),
            database=self.platform.database,
            bus=self.platform.bus,
            coalescer=self.platform.coalescer,
        )

    async def report(self, *, title: str, description: str, application_name: str, tags: list[str]) -> UUID:
        """Report a bug anonymously, with the mark."""
        wanted = ReportBug(
            title=title,
            description=description,
            application_name=application_name,
            tags=tags,
            app_version=MARK,
        )
        async with self.platform.work() as work:
            return (await report_bug(work, ANONYMOUS, wanted)).id

    async def comment(self, bug_id: UUID, user_id: UUID, content: str) -> UUID:
        async with self.platform.work() as work:
            return await write_comment(work, bug_id, user_id=user_id, content=content)


@asynccontextmanager
async def opened_board(
    settings: Settings, *, connections: int = 12, is_logged: bool = True
) -> AsyncIterator[Board]:
    """The board, open within the block. Each kind of call gets a third of the connections.

    `is_logged`: whether the event log is written, as it is in production.
    """
    platform = build(replace(settings, database_pool=3 * connections))
    if not is_logged:
        platform.bus.subscribe_last(_write_nothing)  # for no type of facts
    await platform.start()
    try:
        yield Board(platform)
    finally:
        await platform.close()


def _write_nothing(_recorded: Sequence[Recorded]) -> LastStatement:
    raise NotImplementedError


class HeldSnapshot(SnapshotReader):
    """Reads on one connection: within a REPEATABLE READ transaction all reads see the same snapshot."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    async def rows(self, query: Query[RowT], values: Values | None = None) -> Sequence[RowT]:
        bound = {**query.constants, **(values or {})}
        cursor = await self._connection.execute(query.sql, bound, prepare=True, binary=query.binary)
        return query.read(cursor, await cursor.fetchall())

    def snapshot(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()


def take_off(url: str) -> None:
    """Delete everything that has the mark.

    Bugs are deleted without foreign key checks: votes have no index on the bug that they were merged from, so each
    check would read all votes. BugRelay never deletes bugs, so it needs no such index.
    """
    with psycopg.connect(url) as connection:
        marked = connection.execute("SELECT bug_id FROM bug_texts WHERE app_version = %s", (MARK,)).fetchall()
        ids = [row[0] for row in marked]
        for table, column in connection.execute(_BELONGINGS).fetchall():
            connection.execute(f"DELETE FROM {table} WHERE {column} = ANY(%s)", (ids,))  # noqa: S608 - of the catalogue
        connection.execute("INSERT INTO similar_pending (bug_id) SELECT unnest(%s::uuid[])", (ids,))
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("DELETE FROM bugs WHERE id = ANY(%s)", (ids,))
