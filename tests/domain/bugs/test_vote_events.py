"""`bug.voted` says how many votes a bug has: by a job, at most once a bug and minute, and never too few in the end."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg

from bugrelay.domain.bugs.tasks import record_vote_counts
from bugrelay.infra.platform import Platform
from tests.api.v1.moderation.acts import Moderator, vote
from tests.conftest import SignUp
from tests.factories import Person, report

Sql = psycopg.Connection[Any]


def recorded(sql: Sql) -> list[int]:
    """The counts in the events, in order."""
    rows = sql.execute(
        "SELECT (data ->> 'vote_count')::int, cause ->> 'kind' FROM events WHERE type = 'bug.voted'"
        " ORDER BY at, seq"
    ).fetchall()
    return [count for count, _ in rows]


def let_a_minute_pass(sql: Sql) -> None:
    """For events are never changed: as a replica, which looks at no trigger."""
    sql.execute(
        "SET session_replication_role = replica;"
        " UPDATE events SET at = at - interval '1 minute'; SET session_replication_role = origin"
    )


async def test_vote_events_are_written_at_most_once_a_minute_with_the_full_count(
    client: httpx.AsyncClient, sign_up: SignUp, sql: Sql, platform: Platform
) -> None:
    bug = await report(client)
    for name in ("ada", "grace"):
        await vote(client, await sign_up(name), bug["id"])
    assert recorded(sql) == []
    await record_vote_counts(platform)
    assert recorded(sql) == [2]
    await vote(client, await sign_up("alan"), bug["id"])
    await record_vote_counts(platform)
    assert recorded(sql) == [2]
    let_a_minute_pass(sql)
    await record_vote_counts(platform)
    await record_vote_counts(platform)
    assert recorded(sql) == [2, 3]
    let_a_minute_pass(sql)
    await record_vote_counts(platform)
    assert recorded(sql) == [2, 3]


async def test_bans_and_merges_write_vote_events_too_and_removed_bugs_do_not(
    client: httpx.AsyncClient, ada: Person, admin: Person, sql: Sql, platform: Platform
) -> None:
    moderator = Moderator(client, admin)
    source, target = [(await report(client))["id"] for _ in range(2)]
    await vote(client, ada, source)
    await record_vote_counts(platform)
    await moderator.merge(source, target)
    let_a_minute_pass(sql)
    await record_vote_counts(platform)
    assert recorded(sql) == [1, 1]
    await moderator.ban(ada.id)
    let_a_minute_pass(sql)
    await record_vote_counts(platform)
    assert recorded(sql)[2:] == [0]
    await moderator.unban(ada.id)
    await moderator.remove(target)
    let_a_minute_pass(sql)
    await record_vote_counts(platform)
    assert recorded(sql)[3:] == []
