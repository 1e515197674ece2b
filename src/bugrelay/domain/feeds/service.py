"""Feeds of what everybody may see on the board."""

from __future__ import annotations

import re

from msgspec.structs import asdict
from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.bugs.schemas import BugItem, BugQuery
from bugrelay.domain.bugs.search.service import list_bugs
from bugrelay.domain.feeds import repository
from bugrelay.domain.feeds.models import FeedIdentity
from bugrelay.domain.feeds.schemas import FeedQuery, FeedTag
from bugrelay.infra.db.query import Reader, SnapshotReader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.incremental_counts import IncrementalCounts
from bugrelay.infra.text.urls import http_host

MAX_ENTRIES = 50

_DNS_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")  # RFC 4151, 2.1


async def newest_bugs(
    reader: SnapshotReader, counts: IncrementalCounts, query: FeedQuery, *, primary: Reader | None = None
) -> list[BugItem]:
    """The newest bugs that match the filters, at most `MAX_ENTRIES`. With a search they have all its words.

    Args:
        reader: Reads the bugs.
        counts: The counts of this process.
        query: The filters.
        primary: Reads totals if `reader` is a replica.
    """
    wanted = BugQuery(**asdict(query), sort="recent", limit=MAX_ENTRIES)
    page = await list_bugs(reader, counts, wanted, primary=primary)
    return page.bugs


async def choose_feed_tag(work: UnitOfWork, *, public_url: str) -> FeedTag:
    """The board's tag, which the first call stores: later changes of PUBLIC_URL do not change ids."""
    host = http_host(public_url) or ""
    authority = host if _DNS_NAME.fullmatch(host) else "localhost"
    await work.session.execute(insert(FeedIdentity).values(authority=authority).on_conflict_do_nothing())
    tag = await repository.feed_tag(work)
    assert tag is not None  # noqa: S101 - inserted here, or committed by another process
    return tag
