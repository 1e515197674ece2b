"""What an event comes from is written down with it, and handed on to what follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bugrelay.domain.bugs.events import BugReassigned, CommentAdded
from bugrelay.domain.events.repository import events_after
from bugrelay.domain.events.schemas import MAX_CHAIN, Event, chain_after, event_id
from bugrelay.domain.tickets.events import TicketRemoved, TicketRestored
from bugrelay.infra.events import caused_by
from bugrelay.infra.ids import new_id
from bugrelay.infra.platform import Platform
from tests.domain.events.test_order import said


def reassigned(fact: CommentAdded) -> BugReassigned:
    return BugReassigned(
        bug_id=fact.bug_id, company_id=fact.company_id, former_company_id=None, actor_id=None
    )


async def test_each_fact_keeps_the_cause_of_the_moment_in_which_it_was_recorded(platform: Platform) -> None:
    stream = new_id()

    async def follow(_session: Any, facts: Sequence[CommentAdded]) -> list[BugReassigned]:
        return [reassigned(fact) for fact in facts]

    platform.bus.subscribe_durable(follow, CommentAdded)
    async with platform.work() as work:
        work.record(TicketRemoved(**ids(stream)))
        with caused_by("rule", chain=("evt_a_1", "rule:b")):
            work.record(TicketRestored(**ids(stream)))
            with caused_by("system"):
                work.record(TicketRemoved(**ids(stream)))
            work.record(said(stream))
        work.record(TicketRestored(**ids(stream)))
    by_rule = {"kind": "rule", "chain": ["evt_a_1", "rule:b"]}
    assert [
        (event.type, event.cause) for event in await events_after(platform.database, stream, 0, limit=9)
    ] == [
        ("ticket.removed", {"kind": "user", "chain": []}),
        ("ticket.restored", by_rule),
        ("ticket.removed", {"kind": "system", "chain": []}),
        ("comment.created", by_rule),
        ("ticket.restored", {"kind": "user", "chain": []}),
        ("bug.edited", by_rule),
    ]


async def test_a_chain_is_that_of_the_event_then_the_event_and_bounded(platform: Platform) -> None:
    stream = new_id()
    chain: tuple[str, ...] = ()
    for _ in range(MAX_CHAIN):
        async with platform.work() as work:
            with caused_by("link", chain=chain):
                work.record(said(stream))
        event = await newest(platform, stream)
        assert event.cause == {"kind": "link", "chain": list(chain)}
        former, chain = chain, chain_after(event, "rule:one")
        assert chain == (*former, event_id(event), "rule:one")[-MAX_CHAIN:]
    assert len(chain) == MAX_CHAIN


async def newest(platform: Platform, stream: Any) -> Event:
    return list(await events_after(platform.database, stream, 0, limit=500))[-1]


def ids(company_id: Any) -> dict[str, Any]:
    return {
        "ticket_id": new_id(),
        "company_id": company_id,
        "project_id": new_id(),
        "version": 1,
        "actor_id": None,
    }
