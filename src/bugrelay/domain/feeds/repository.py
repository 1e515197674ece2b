"""Every SELECT of feeds."""

from __future__ import annotations

from sqlalchemy import select

from bugrelay.domain.feeds.models import FeedIdentity
from bugrelay.domain.feeds.schemas import FeedTag
from bugrelay.infra.db.query import Query, Reader

_TAG = Query(select(FeedIdentity.authority, FeedIdentity.since), FeedTag)


async def feed_tag(reader: Reader) -> FeedTag | None:
    """None until the first feed is read."""
    return await reader.row(_TAG)
