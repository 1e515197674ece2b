"""What the board's jobs do: votes age, and what was kept for a while goes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import psycopg

from bugrelay.bootstrap import build
from bugrelay.domain.bugs.tasks import age_votes, clean_up, fold_tags
from bugrelay.settings import Settings
from bugrelay.worker import all_tasks
from tests.conftest import SignUp
from tests.factories import report


def counts(sql: psycopg.Connection[Any], bug: dict[str, Any]) -> tuple[int, int]:
    row = sql.execute("SELECT vote_count, recent_vote_count FROM bugs WHERE id = %s", (bug["id"],)).fetchone()
    assert row is not None
    return row[0], row[1]


async def test_a_vote_leaves_the_trend_after_thirty_days_and_stays_counted(
    client: httpx.AsyncClient, sign_up: SignUp, sql: psycopg.Connection[Any], settings: Settings
) -> None:
    ada, bug = await sign_up("ada"), await report(client)
    await client.post(f"/api/v1/bugs/{bug['id']}/vote", headers=ada.headers)
    assert counts(sql, bug) == (1, 1)
    # As time would do it: the date is long ago, and nothing has noticed yet.
    sql.execute("ALTER TABLE bug_votes DISABLE TRIGGER vote_dated")
    sql.execute("UPDATE bug_votes SET created_at = now() - interval '31 days'")
    sql.execute("ALTER TABLE bug_votes ENABLE TRIGGER vote_dated")
    platform = build(settings)
    await age_votes(platform)
    await age_votes(platform)
    await platform.close()
    assert counts(sql, bug) == (1, 0)
    withdrawn = await client.delete(f"/api/v1/bugs/{bug['id']}/vote", headers=ada.headers)
    assert withdrawn.json()["vote_count"] == 0
    assert counts(sql, bug) == (0, 0)


async def test_a_vote_that_is_given_another_date_moves_the_trend(
    client: httpx.AsyncClient, sign_up: SignUp, sql: psycopg.Connection[Any]
) -> None:
    ada, bug = await sign_up("ada"), await report(client)
    await client.post(f"/api/v1/bugs/{bug['id']}/vote", headers=ada.headers)
    sql.execute("UPDATE bug_votes SET created_at = now() - interval '40 days'")
    assert counts(sql, bug) == (1, 0)
    sql.execute("UPDATE bug_votes SET created_at = now() - interval '2 days'")
    assert counts(sql, bug) == (1, 1)


async def test_tags_are_counted_the_same_before_and_after_they_are_folded(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any], settings: Settings
) -> None:
    async def counted() -> list[tuple[str, int]]:
        answer = (await client.get("/api/v1/tags", params={"n": uuid4().hex})).json()
        assert answer["pagination"]["total"] == len(answer["tags"])
        return [(tag["name"], tag["count"]) for tag in answer["tags"]]

    platform = build(settings)
    bugs = [await report(client, tags=tags) for tags in (["ui", "crash"], ["ui"], ["gone"])]
    for fold in (False, True, True):
        if fold:
            await fold_tags(platform)
        assert await counted() == [("ui", 2), ("crash", 1), ("gone", 1)]
    assert sql.execute("SELECT count(*) FROM tag_changes").fetchone() == (0,)
    sql.execute("UPDATE bugs SET tags = '{ui}' WHERE id = %s", (bugs[2]["id"],))
    sql.execute("UPDATE bugs SET removed_at = now() WHERE id = %s", (bugs[0]["id"],))
    for fold in (False, True):
        if fold:
            await fold_tags(platform)
        assert await counted() == [("ui", 2)]
    assert sql.execute("SELECT name FROM tag_counts").fetchall() == [("ui",)]
    sql.execute("SELECT search_rebuild()")
    assert await counted() == [("ui", 2)]
    await platform.close()


async def test_expired_keys_and_captcha_tokens_are_deleted(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any], settings: Settings
) -> None:
    await report(client)
    sql.execute("UPDATE bug_search_changes SET at = now() - interval '2 hours'")
    await report(client, title="Another one that is young")
    platform = build(settings)
    await clean_up(platform)
    await platform.close()
    assert sql.execute("SELECT count(*) FROM bug_search_changes").fetchone() == (1,)


def test_a_worker_runs_the_periodic_jobs_of_the_board() -> None:
    assert {"bugs.age_votes", "bugs.fold_tags", "bugs.clean_up"} <= all_tasks().periodic.keys()
    assert "bugs.follow_application" in all_tasks().by_name
