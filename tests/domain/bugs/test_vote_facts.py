"""A durable subscriber is called with each vote once, in its transaction, however many are written together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from bugrelay.bootstrap import build
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.events import VoteCast, VoteWithdrawn
from bugrelay.domain.bugs.service.votes import VoteAction, VoteOutcome, VoteRequest, vote, vote_within
from bugrelay.errors import AccountBanned
from bugrelay.infra.ids import new_id
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.domain.conftest import Heard
from tests.factories import put_application, put_bug

Sql = psycopg.Connection[Any]


@pytest.fixture
def bug_id(sql: Sql, empty_board: None) -> UUID:
    return UUID(put_bug(sql, put_application(sql)))


@pytest.fixture
def voters(sql: Sql, empty_board: None) -> list[UUID]:
    ids = [new_id() for _ in range(6)]
    for user_id in ids:
        sql.execute(
            "INSERT INTO users (id, email, email_key, username) VALUES (%s, %s, %s, %s)",
            (user_id, f"{user_id}@people.example", str(user_id), user_id.hex[:30]),
        )
    return ids


@pytest.fixture
async def listened(settings: Settings, empty_board: None, heard: Heard) -> AsyncIterator[Platform]:
    """A platform on which `heard` listens."""
    platform = build(settings)
    heard.listen(platform.bus)
    await platform.start()
    yield platform
    await platform.close()


def voted(
    platform: Platform, bug_id: UUID, user_id: UUID, action: VoteAction = "toggle"
) -> asyncio.Task[VoteOutcome]:
    return asyncio.create_task(
        vote(
            bug_id,
            VoteRequest(user_id, action),
            database=platform.database,
            bus=platform.bus,
            coalescer=platform.coalescer,
        )
    )


def count_of(sql: Sql, bug_id: UUID) -> tuple[int, int]:
    """The counter, and the rows."""
    row = sql.execute(
        "SELECT vote_count, (SELECT count(*) FROM bug_votes WHERE bug_id = bugs.id) FROM bugs WHERE id = %s",
        (bug_id,),
    ).fetchone()
    assert row is not None
    return row[0], row[1]


async def test_a_vote_is_published_only_if_it_changes_the_count(
    listened: Platform, bug_id: UUID, voters: list[UUID], heard: Heard
) -> None:
    for action in ("cast", "cast", "withdraw", "withdraw"):
        await voted(listened, bug_id, voters[0], action)
    assert heard.facts == [
        VoteCast(bug_id=bug_id, actor_id=voters[0], vote_count=1),
        VoteWithdrawn(bug_id=bug_id, actor_id=voters[0], vote_count=0),
    ]


async def test_votes_of_one_batch_are_published_once_each_in_one_transaction(
    listened: Platform, bug_id: UUID, voters: list[UUID], heard: Heard, sql: Sql
) -> None:
    await voted(listened, bug_id, voters[0])
    heard.facts.clear()
    heard.transactions.clear()
    outcomes = await asyncio.gather(*(voted(listened, bug_id, voter) for voter in voters))
    assert {fact.actor_id for fact in heard.facts if isinstance(fact, VoteWithdrawn)} == {voters[0]}
    cast = [fact for fact in heard.facts if isinstance(fact, VoteCast)]
    assert Counter(fact.actor_id for fact in cast) == Counter(voters[1:])
    assert [fact.vote_count for fact in heard.facts] == [outcome.vote_count for outcome in outcomes]
    assert len(set(heard.transactions)) == 1
    assert count_of(sql, bug_id) == (5, 5)


async def test_a_vote_that_is_retried_alone_is_published(
    listened: Platform, bug_id: UUID, voters: list[UUID], heard: Heard, sql: Sql, database_url: str
) -> None:
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT FROM users WHERE id = %s FOR UPDATE", (voters[2],))
        votes = [voted(listened, bug_id, voter) for voter in voters]
        while not waits_for_lock(sql):
            await asyncio.sleep(0.01)
        assert {fact.actor_id for fact in heard.facts} == {*voters} - {voters[2]}
    await asyncio.gather(*votes)
    assert Counter(fact.actor_id for fact in heard.facts) == Counter(voters)
    assert heard.facts[-1] == VoteCast(bug_id=bug_id, actor_id=voters[2], vote_count=6)
    assert len(set(heard.transactions)) == 2


def waits_for_lock(sql: Sql) -> bool:
    return sql.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None


async def test_a_refusal_of_the_subscriber_rolls_all_votes_back(
    listened: Platform, bug_id: UUID, voters: list[UUID], heard: Heard, sql: Sql
) -> None:
    heard.refuses = True
    votes = (voted(listened, bug_id, voter) for voter in voters)
    outcomes = await asyncio.gather(*votes, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {RuntimeError}
    assert count_of(sql, bug_id) == (0, 0)
    heard.refuses = False
    assert (await voted(listened, bug_id, voters[0])).vote_count == 1


async def test_a_refused_vote_is_not_published_and_prevents_no_other(
    listened: Platform, bug_id: UUID, voters: list[UUID], heard: Heard, sql: Sql
) -> None:
    sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (voters[0],))
    votes = (voted(listened, bug_id, voter) for voter in voters)
    refused, *_ = await asyncio.gather(*votes, return_exceptions=True)
    assert isinstance(refused, AccountBanned)
    assert Counter(fact.actor_id for fact in heard.facts) == Counter(voters[1:])
    with pytest.raises(BugNotFound):
        await voted(listened, new_id(), voters[1])
    assert len(heard.facts) == 5


async def test_a_vote_within_a_larger_change_is_published_with_it(
    listened: Platform, bug_id: UUID, voters: list[UUID], heard: Heard
) -> None:
    async with listened.work() as work:
        await vote_within(work, bug_id, user_id=voters[0], action="cast")
        await vote_within(work, bug_id, user_id=voters[1], action="cast")
        assert heard.facts == []
    assert [fact.vote_count for fact in heard.facts] == [1, 2]
    assert len(set(heard.transactions)) == 1


async def test_without_such_a_subscriber_votes_count_as_well(
    platform: Platform, bug_id: UUID, voters: list[UUID], sql: Sql
) -> None:
    published: list[Any] = []

    async def hear(facts: Any) -> None:
        published.extend(facts)

    platform.bus.subscribe_afterwards(hear, VoteCast, VoteWithdrawn)
    await asyncio.gather(*(voted(platform, bug_id, voter) for voter in voters))
    assert Counter(fact.actor_id for fact in published) == Counter(voters)
    assert count_of(sql, bug_id) == (6, 6)
