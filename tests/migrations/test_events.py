"""A board without an event log gets one with its history in order of time, and nobody is notified of the past."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from bugrelay.bootstrap import build
from bugrelay.domain.events.consumers import Consumer, follow, start_consumers
from bugrelay.domain.events.schemas import Event
from bugrelay.domain.events.tasks import list_missing_events, record_missing_events
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.platform import Platform
from bugrelay.integrity_check import problems
from bugrelay.migrate import migrate
from bugrelay.settings import Settings, load_settings
from tests.factories import put_application, put_bug
from tests.infra.redis.server import eventually
from tests.migrations.conftest import NewDatabase, migrate_to

BEFORE = "0013"


class Story:
    """What is on a board before there is a log: two bugs, one of them merged into the other and removed later."""

    def __init__(self, sql: psycopg.Connection[Any]) -> None:
        self.sql = sql
        application_id = put_application(sql)
        self.user, self.comment, self.answer = new_id(), new_id(), new_id()
        sql.execute(
            "INSERT INTO users (id, email, email_key, username)"
            " VALUES (%s, 'a@b.example', 'a@b.example', 'ada')",
            (self.user,),
        )
        self.first = put_bug(sql, application_id, title="First", created_at="2026-01-01")
        self.second = put_bug(sql, application_id, title="Second", created_at="2026-01-02")
        self.write("comments", at="2026-01-03", id=self.comment, content="Same", content_html="")
        self.write("comments", at="2026-01-04", id=self.answer, content="Ours", content_html="")
        sql.execute("UPDATE comments SET is_company_response = true WHERE id = %s", (self.answer,))
        self.write("status_changes", at="2026-01-05", id=new_id(), from_status="open", to_status="fixed")
        sql.execute(
            "UPDATE bugs SET status = 'fixed', resolved_at = now(), comment_count = 2 WHERE id = %s",
            (self.first,),
        )
        self.write("bug_edits", at="2026-01-06", id=new_id(), before='{"title": "Former", "tags": []}')
        sql.execute("UPDATE comments SET edited_at = '2026-01-07' WHERE id = %s", (self.comment,))
        sql.execute(
            "INSERT INTO bug_merges (id, kind, source_bug_id, target_bug_id, reason, at)"
            " VALUES (%s, 'merge', %s, %s, 'twins', '2026-01-08')",
            (new_id(), self.second, self.first),
        )
        for at, action, kind, resource in (
            ("2026-01-09", "bug_remove", "bug", self.second),
            ("2026-01-10", "bug_restore", "bug", self.second),
            ("2026-01-11", "comment_remove", "comment", self.comment),
        ):
            sql.execute(
                "INSERT INTO audit_logs (id, action, resource, resource_id, user_id, created_at)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (new_id(), action, kind, resource, self.user, at),
            )

    def write(self, table: str, *, at: str, **values: Any) -> None:
        """A row about the first bug, by the user."""
        moment = "created_at" if table == "comments" else "at"
        row = {"bug_id": self.first, "user_id": self.user, moment: at, **values}
        columns = ", ".join(row)
        self.sql.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({', '.join(['%s'] * len(row))})",  # type: ignore[arg-type]
            list(row.values()),
        )

    def told(self) -> list[tuple[Any, ...]]:
        """Type, bug and day of each event, in order of time; where that is not the order of a stream, it says so."""
        rows = self.sql.execute(
            "SELECT type, bug_id, at::date::text, seq, stream, cause FROM events ORDER BY stream, seq"
        ).fetchall()
        for one, following in pairwise(rows):
            assert one[4] != following[4] or one[2] <= following[2]
        return sorted(rows, key=lambda row: (row[2], row[0], str(row[1]) == self.second))


@pytest.fixture
def url(new_database: NewDatabase) -> str:
    return new_database()


@pytest.fixture
async def upgraded(url: str, settings: Settings) -> AsyncIterator[Platform]:
    """Migrated from before the log when it is first used: see `Story`."""
    platform = build(replace(settings, database_url=url, workers=1))
    yield platform
    await platform.close()


async def test_events_of_the_past_are_recorded_in_order_of_time(url: str, upgraded: Platform) -> None:
    migrate_to(BEFORE, url)
    with psycopg.connect(url, autocommit=True) as sql:
        story = Story(sql)
        migrate(load_settings({"DATABASE_URL": url}))
        assert [problem async for problem in problems(upgraded)] == []
        for _ in range(2):
            await record_missing_events(upgraded)
            first, second = story.first, story.second
            assert [(kind, str(bug), day) for kind, bug, day, *_ in story.told()] == [
                ("bug.created", first, "2026-01-01"),
                ("bug.created", second, "2026-01-02"),
                ("comment.created", first, "2026-01-03"),
                ("response.created", first, "2026-01-04"),
                ("status.changed", first, "2026-01-05"),
                ("bug.edited", first, "2026-01-06"),
                ("comment.edited", first, "2026-01-07"),
                ("bug.merged", first, "2026-01-08"),
                ("bug.merged", second, "2026-01-08"),
                ("bug.removed", second, "2026-01-09"),
                ("bug.restored", second, "2026-01-10"),
                ("comment.removed", first, "2026-01-11"),
            ]
            for row in story.told():
                assert datetime.fromisoformat(row[5]["recorded_later"]) > datetime.now(UTC) - timedelta(
                    hours=1
                )
            assert [problem async for problem in problems(upgraded)] == []
            sql.execute("SELECT list_missing_events('00000000-0000-0000-0000-000000000000')")
            assert sql.execute("SELECT count(*) FROM missing_events").fetchone() == (0,)
        created = sql.execute("SELECT data FROM events WHERE type = 'bug.created' ORDER BY at").fetchone()
        assert created is not None
        assert created[0]["status"] == "open"


def put_new_bug(sql: psycopg.Connection[Any]) -> str:
    """As a server inserts it: with an id that contains its time."""
    former, bug_id = put_bug(sql, put_application(sql)), str(new_id())
    sql.execute("SET session_replication_role = replica")
    sql.execute("UPDATE bugs SET id = %s WHERE id = %s", (bug_id, former))
    sql.execute("SET session_replication_role = origin")
    return bug_id


async def test_changes_by_a_former_release_are_recorded_later(url: str, upgraded: Platform) -> None:
    migrate(load_settings({"DATABASE_URL": url}))
    with psycopg.connect(url, autocommit=True) as sql:
        bug = put_new_bug(sql)
        await record_missing_events(upgraded)
        assert sql.execute("SELECT FROM events").fetchall() == []
        await list_missing_events(upgraded)
        await list_missing_events(upgraded)
        await record_missing_events(upgraded)
        await list_missing_events(upgraded)
        await record_missing_events(upgraded)
        assert sql.execute("SELECT type, bug_id::text FROM events").fetchall() == [("bug.created", bug)]


async def test_consumers_do_not_receive_events_recorded_later(url: str, upgraded: Platform) -> None:
    migrate_to(BEFORE, url)
    heard: list[Event] = []

    async def hear(_work: UnitOfWork, events: Sequence[Event]) -> None:
        heard.extend(events)

    with psycopg.connect(url, autocommit=True) as sql:
        story = Story(sql)
        migrate(load_settings({"DATABASE_URL": url}))
        async with upgraded.work() as work:
            await start_consumers(work, ["hearing"])
        await record_missing_events(upgraded)
        following = asyncio.create_task(
            follow(
                [Consumer("hearing", hear)],
                work=upgraded.work,
                database=upgraded.database,
                woken=asyncio.Event(),
            )
        )
        try:
            ends = "SELECT stream, last_seq FROM event_streams ORDER BY 1"
            cursors = "SELECT stream, seq FROM event_cursors ORDER BY 1"
            await eventually(
                lambda: sql.execute(cursors).fetchall() == sql.execute(ends).fetchall() != [], seconds=30
            )
            assert heard == []
            assert story.told() != []
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
