"""What of the board is cached, and which event drops it.

Only what everybody may see: pages of lists, and details as the anonymous see them. Signed-in readers are always
answered from the database, so nobody misses their own write.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from bugrelay.domain.bugs.events import BugChanged, VotesRecounted
from bugrelay.domain.bugs.schemas import BugQuery
from bugrelay.infra.platform import Platform

LISTS = "bugs"
MAX_INVALIDATED = 1000  # details at once; what is beyond expires within a second

_canonical = msgspec.json.Encoder().encode


def detail_group(bug_id: UUID) -> str:
    return f"bug:{bug_id}"


def list_key(query: BugQuery) -> str:
    """One key for all spellings of a query: parameters in any order, defaults named or not."""
    return _canonical(msgspec.structs.replace(query, sort=query.order)).decode()


def subscribe(platform: Platform) -> None:
    async def forget(event: BugChanged) -> None:
        await platform.cache.invalidate(LISTS, detail_group(event.bug_id))

    async def forget_all(event: VotesRecounted) -> None:
        details = (detail_group(bug_id) for bug_id in event.bug_ids[:MAX_INVALIDATED])
        await platform.cache.invalidate(LISTS, *details)

    platform.bus.subscribe_afterwards(BugChanged, forget)
    platform.bus.subscribe_afterwards(VotesRecounted, forget_all)
