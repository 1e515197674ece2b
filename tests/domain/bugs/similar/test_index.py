"""The index of similar bugs stays correct, whatever is folded, by which process and however often."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, LiteralString
from uuid import uuid4

import httpx
import psycopg
import pytest

from bugrelay.domain.bugs.schemas import BugQuery
from bugrelay.domain.bugs.search.service import list_bugs
from bugrelay.domain.bugs.search.some_words import SomeWords
from bugrelay.domain.bugs.similar import finder, rebuild, service
from bugrelay.domain.bugs.similar.schemas import FindSimilar
from bugrelay.domain.bugs.similar.tasks import fold_similar
from bugrelay.domain.importing import Summary, import_bugs
from bugrelay.domain.importing.reader import Line
from bugrelay.infra.db.database import Connection
from bugrelay.infra.db.query import Query, RowT, SnapshotReader, Values
from bugrelay.infra.platform import Platform
from bugrelay.integrity_check import problems
from tests.domain.importing.conftest import a_line, joined
from tests.factories import EPOCH, merge_into, put_application, put_bug, report

Sql = psycopg.Connection[Any]

POSTINGS = """
SELECT w.word, d.bug_id::text, substr(b.postings, 7 * i + 5, 3) FROM similar_blocks b
JOIN similar_words w ON w.id = b.word CROSS JOIN LATERAL generate_series(0, b.n - 1) AS i
JOIN similar_docs d ON d.no = ('x' || encode(substr(b.postings, 7 * i + 1, 4), 'hex'))::bit(32)::int
ORDER BY 1, 2
"""


async def similar(platform: Platform, title: str, limit: int = 20) -> list[str]:
    async with platform.database.reading() as reader:
        found = await service.similar_to_text(
            reader, platform.computing, FindSimilar(title=title, limit=limit)
        )
    return [str(one.bug.id) for one in found.similar]


async def found_problems(platform: Platform) -> list[str]:
    return [problem async for problem in problems(platform)]


def put_many(sql: Sql, titles: Sequence[str]) -> list[str]:
    application_id = put_application(sql, uuid4().hex)
    return [
        put_bug(sql, application_id, title=title, at=EPOCH + timedelta(minutes=i))
        for i, title in enumerate(titles)
    ]


def pending(sql: Sql) -> int:
    row = sql.execute("SELECT count(*) FROM similar_pending").fetchone()
    assert row
    return int(row[0])


async def test_what_was_folded_is_what_the_bugs_say(platform: Platform, sql: Sql) -> None:
    bugs = put_many(sql, [f"Number {i} of the galaxy" for i in range(40)])
    await fold_similar(platform)
    assert pending(sql) == 0
    sql.execute("UPDATE bugs SET title = 'Now about nebulae' WHERE id = ANY(%s::uuid[])", (bugs[3:9],))
    sql.execute("UPDATE bugs SET removed_at = now() WHERE id = ANY(%s::uuid[])", (bugs[:2],))
    sql.execute("UPDATE bugs SET created_at = '2012-05-06' WHERE id = %s", (bugs[20],))
    merge_into(sql, bugs[30], bugs[31])
    assert await found_problems(platform) == []
    await fold_similar(platform)
    assert await found_problems(platform) == []
    assert sorted(await similar(platform, "nebulae")) == sorted(bugs[3:9])
    assert sql.execute("SELECT documents FROM similar_words WHERE word = 'galaxi'").fetchone() == (32,)


async def test_a_word_of_many_bugs_has_several_blocks_which_lose_and_gain(
    platform: Platform, sql: Sql
) -> None:
    application_id = put_application(sql)
    sql.execute(
        "WITH made AS (INSERT INTO bugs (id, title, application_id, created_at)"
        " SELECT gen_random_uuid(), 'Galaxy ' || i, %s, %s + i * interval '1 minute'"
        " FROM generate_series(1, 4200) AS i RETURNING id)"
        " INSERT INTO bug_texts (bug_id, description, description_html) SELECT id, 'Of stars', '' FROM made",
        (application_id, EPOCH),
    )
    await fold_similar(platform)
    blocks = "SELECT n FROM similar_blocks b JOIN similar_words w ON w.id = b.word WHERE w.word = 'galaxi' ORDER BY block"
    assert [n for (n,) in sql.execute(blocks).fetchall()] == [2048, 2048, 104]
    sql.execute(
        "UPDATE bugs SET removed_at = now() WHERE title IN ('Galaxy 1', 'Galaxy 2048', 'Galaxy 3000')"
    )
    await fold_similar(platform)
    assert [n for (n,) in sql.execute(blocks).fetchall()] == [2046, 2047, 104]
    sql.execute("UPDATE bugs SET removed_at = NULL WHERE removed_at IS NOT NULL")
    await fold_similar(platform)
    assert [n for (n,) in sql.execute(blocks).fetchall()] == [2046, 2047, 107]
    assert await found_problems(platform) == []
    (found, *_) = await similar(platform, "galaxy 1234")
    assert sql.execute("SELECT title FROM bugs WHERE id = %s", (found,)).fetchone() == ("Galaxy 1234",)


async def test_of_two_folding_jobs_one_folds_and_neither_waits(
    platform: Platform, sql: Sql, database_url: str
) -> None:
    bugs = put_many(sql, ["About the galaxy", "About nebulae"])
    with psycopg.connect(database_url) as first:
        assert first.execute("SELECT similar_fold(10)").fetchone() == (2,)
        assert sql.execute("SELECT similar_fold(10)").fetchone() == (0,)
        assert await similar(platform, "galaxy") == [bugs[0]]
        late = put_many(sql, ["A report while somebody folds"])
    await fold_similar(platform)
    assert await similar(platform, "somebody folds") == late
    assert await found_problems(platform) == []


class _FoldedMeanwhile(SnapshotReader):
    """Folds what is pending after one of the statements that are read on a connection."""

    def __init__(self, platform: Platform, connection: Connection, *, behind: int) -> None:
        self._platform = platform
        self._connection = connection
        self._left = behind

    async def rows(self, query: Query[RowT], values: Values | None = None) -> Sequence[RowT]:
        rows = await self._connection.rows(query, values)
        self._left -= 1
        if self._left == 0:
            await fold_similar(self._platform)
        return rows

    def snapshot(self) -> AbstractAsyncContextManager[None]:
        return self._connection.snapshot()


@pytest.mark.parametrize("behind", range(1, 7))
async def test_a_search_finds_what_is_folded_between_its_statements(
    behind: int, platform: Platform, sql: Sql
) -> None:
    folded, edited = put_many(sql, ["The quasar flickers", "A pulsar flickers"])
    await fold_similar(platform)
    sql.execute("UPDATE bugs SET title = 'The nebula flickers' WHERE id = %s", (edited,))
    (new,) = put_many(sql, ["A nebula"])
    query, some_words = BugQuery(search="flickering quasar nebula"), SomeWords(platform.computing)
    async with platform.database.reading() as connection:
        reader = _FoldedMeanwhile(platform, connection, behind=behind)
        page = await list_bugs(reader, platform.counts, query, some_words=some_words)
    assert sorted(str(bug.id) for bug in page.bugs) == sorted([folded, edited, new])
    assert pending(sql) == 0


async def test_an_interrupted_fold_changes_nothing(platform: Platform, sql: Sql, database_url: str) -> None:
    bugs = put_many(sql, ["About the galaxy"])
    folding = psycopg.connect(database_url)
    folding.execute("SELECT similar_fold(10)")
    ended = sql.execute("SELECT pg_terminate_backend(%s, 60000)", (folding.info.backend_pid,)).fetchone()
    assert ended == (True,)  # and so has released its locks
    assert await similar(platform, "galaxy") == bugs
    assert pending(sql) == 1
    await fold_similar(platform)
    assert (pending(sql), await similar(platform, "galaxy"), await found_problems(platform)) == (0, bugs, [])


async def test_an_edit_while_somebody_folds_is_folded_next(
    platform: Platform, sql: Sql, database_url: str
) -> None:
    (bug,) = put_many(sql, ["About the galaxy"])
    with psycopg.connect(database_url) as folding:
        folding.execute("SELECT similar_fold(10)")
        sql.execute("UPDATE bugs SET title = 'About nebulae' WHERE id = %s", (bug,))
    assert (await similar(platform, "galaxy"), await similar(platform, "nebulae")) == ([], [bug])
    await fold_similar(platform)
    assert (await similar(platform, "galaxy"), await similar(platform, "nebulae")) == ([], [bug])
    assert await found_problems(platform) == []


async def test_of_a_long_queue_what_has_the_rarest_words_is_found(platform: Platform, sql: Sql) -> None:
    many = finder.MAX_PENDING + 2 * finder.NEWEST_PENDING
    titles = ["The quasar flickers", *(f"Galaxy number {i}" for i in range(many)), "A pulsar is silent"]
    bugs = put_many(sql, titles)
    sql.execute("ANALYZE bug_search")
    assert (await similar(platform, "flickering quasar of the galaxy"))[0] == bugs[0]
    assert (await similar(platform, "silent pulsar of the galaxy"))[0] == bugs[-1]
    await fold_similar(platform)
    assert (await similar(platform, "flickering quasar of the galaxy"))[0] == bugs[0]


async def test_in_a_long_queue_no_word_of_many_newer_bugs_drowns_the_rare_one(
    platform: Platform, sql: Sql
) -> None:
    """How many bugs have a word is not known of bugs that no index and no statistics have yet."""
    titles = ["The quasar flickers again", *(f"The window {i} is slow again" for i in range(400))]
    twin, *_ = put_many(sql, titles)
    assert (await similar(platform, "Again a quasar in the window"))[0] == twin


async def test_the_rebuilt_index_equals_the_folded_one(platform: Platform, sql: Sql) -> None:
    bugs = put_many(sql, [f"Number {i} of the galaxy" for i in range(30)])
    await fold_similar(platform)
    folded = sql.execute(POSTINGS).fetchall()
    sql.execute("DELETE FROM similar_blocks")
    assert await similar(platform, "galaxy") == []
    steps: list[tuple[int, int]] = []
    assert await rebuild.rebuild(platform, on_step=lambda *step: steps.append(step)) == len(bugs)
    assert steps == [(1, 2), (2, 2)]
    assert sql.execute(POSTINGS).fetchall() == folded
    assert await found_problems(platform) == []


async def test_the_former_index_serves_during_a_rebuild(platform: Platform, sql: Sql) -> None:
    bugs = put_many(sql, ["About the galaxy", "About nebulae", "Of a quasar"])
    await fold_similar(platform)
    halfway, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def rebuilding() -> None:
        async with platform.work() as work:
            for statement in rebuild.BEGIN:
                await work.session.execute(statement)
            halfway.set()
            await go_on.wait()
            raise _CutOff

    task = loop.create_task(rebuilding())
    await halfway.wait()
    assert await similar(platform, "galaxy") == bugs[:1]
    sql.execute("UPDATE bugs SET title = 'Of a pulsar' WHERE id = %s", (bugs[2],))
    assert await similar(platform, "pulsar") == bugs[2:]
    await fold_similar(platform)
    assert pending(sql) == 1
    go_on.set()
    with pytest.raises(_CutOff):
        await task
    await fold_similar(platform)
    assert (pending(sql), await found_problems(platform)) == (0, [])
    assert await similar(platform, "pulsar") == bugs[2:]


class _CutOff(Exception):
    pass


async def test_an_import_is_found_while_it_runs_and_after(
    platform: Platform, client: httpx.AsyncClient, sql: Sql
) -> None:
    twin = await report(client, title="The quasar flickers", description="It flickers since Monday.")
    lines = [a_line(external_id=f"t-{i}", title=f"Number {i} of the galaxy") for i in range(1200)]
    content = [Line(i, line) for i, line in enumerate(joined(lines).splitlines(), start=1)]
    summary = Summary()
    importing = asyncio.create_task(
        import_bugs(content, summary, database=platform.database, bus=platform.bus, on_batch=lambda: None)
    )
    while not importing.done():
        response = await client.post("/api/v1/bugs/similar", json={"title": "A flickering quasar"})
        assert response.status_code == 200
        assert response.json()["similar"][0]["bug"]["id"] == twin["id"]
        await fold_similar(platform)
    await importing
    assert summary.imported == 1200
    await fold_similar(platform)
    assert pending(sql) == 0
    (first, *_) = await similar(platform, "Number 777 of the galaxy")
    assert sql.execute("SELECT external_id FROM bugs WHERE id = %s", (first,)).fetchone() == ("t-777",)
    assert await found_problems(platform) == []


LIES = {
    "is not in the index of similar bugs": "DELETE FROM similar_docs; DELETE FROM similar_blocks;"
    " UPDATE similar_words SET documents = 0;"
    " UPDATE similar_totals SET documents = 0, title_length = 0, description_length = 0",
    "has other words": "UPDATE similar_docs SET day = day + 1; UPDATE similar_blocks SET postings = set_byte(postings,"
    " 5, get_byte(postings, 5) + 1)",
    "is removed, but in the index": "UPDATE bugs SET removed_at = now(); SELECT search_refresh(id) FROM bugs",
    "postings are not those": "UPDATE similar_blocks SET postings = set_byte(postings, 6, 255)"
    " WHERE word = (SELECT id FROM similar_words WHERE word = 'galaxi')",
    "is said to have": "UPDATE similar_totals SET documents = 7",
}


@pytest.mark.parametrize("sentence", LIES)
async def test_the_check_finds_what_is_wrong(sentence: str, platform: Platform, sql: Sql) -> None:
    put_many(sql, ["About the galaxy"])
    await fold_similar(platform)
    sql.execute("SET session_replication_role = replica")
    for statement in LIES[sentence].split(";"):
        sql.execute(statement)  # type: ignore[arg-type]
    sql.execute("SET session_replication_role = origin")
    (problem,) = await found_problems(platform)
    assert sentence in problem


OF_GALAXY = "WHERE word = (SELECT id FROM similar_words WHERE word = 'galaxi')"
WEIGHTS_SWAPPED = (
    "overlay(overlay(postings PLACING substr(postings, 14, 1) FROM 7) PLACING substr(postings, 7, 1) FROM 14)"
)
LIES_OF_THE_INDEX: list[tuple[LiteralString, str]] = [
    (f"UPDATE similar_blocks SET postings = {WEIGHTS_SWAPPED} {OF_GALAXY}", "postings are not those"),
    (f"UPDATE similar_blocks SET block = block + 1 {OF_GALAXY}", "postings are not those"),
    ("UPDATE similar_docs SET weights = ''", "postings are not those"),
    ("UPDATE similar_docs SET title_length = CASE title_length WHEN 1 THEN 4 ELSE 1 END", "has other words"),
    ("DELETE FROM similar_totals", "is said to have 0 documents"),
]


async def test_the_check_finds_lies_that_leave_sums_as_they_are_and_a_rebuild_mends_them(
    platform: Platform, sql: Sql
) -> None:
    put_many(sql, ["The galaxy", "A galaxy of many bright stars"])
    await fold_similar(platform)
    for statement, sentence in LIES_OF_THE_INDEX:
        sql.execute(statement)
        found = await found_problems(platform)
        assert found, statement
        assert all(sentence in problem for problem in found), statement
        await rebuild.rebuild(platform, on_step=lambda done, steps: None)
        assert await found_problems(platform) == [], statement
