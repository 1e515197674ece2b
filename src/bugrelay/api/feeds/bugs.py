"""`/feeds/bugs.atom`: the newest bugs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from litestar import Controller, Response, get

from bugrelay.api.feeds.atom import MEDIA_TYPE, Entry, Feed, Link, atom, atom_etag
from bugrelay.domain.bugs.cache import LISTS
from bugrelay.domain.bugs.schemas import BugItem
from bugrelay.domain.feeds import repository
from bugrelay.domain.feeds.cache import list_key
from bugrelay.domain.feeds.schemas import FeedQuery, FeedTag
from bugrelay.domain.feeds.service import choose_feed_tag, newest_bugs
from bugrelay.http.request import ApiRequest
from bugrelay.http.response_cache import cached_response
from bugrelay.http.routes import Route, anyone
from bugrelay.infra.db.query import Reader, SnapshotReader
from bugrelay.infra.platform import Platform
from bugrelay.infra.viewer import Viewer
from bugrelay.settings import Settings

BUGS = "/api/v1/bugs"
NOBODY = "anonymous"  # a feed must name an author (RFC 4287, section 4.1.1)


class BugsFeedController(Controller):
    path = "/feeds"
    tags = ("Feeds",)

    @get("/bugs.atom")
    @Route(
        access=anyone(same_for_all=True),
        limits=("feeds",),
        query=FeedQuery,
        media_types=("application/atom+xml",),
    )
    async def get_bugs_feed(self, request: ApiRequest, viewer: Viewer, query: FeedQuery) -> Response[Any]:
        """Follow the fifty newest bugs that match the filters."""
        platform = request.platform

        async def read(reader: SnapshotReader, primary: Reader | None) -> Sequence[BugItem]:
            return await newest_bugs(reader, platform.counts, query, primary=primary)

        async def load() -> bytes:
            updated = datetime.now(UTC)
            tag = await feed_tag(platform)
            bugs = await platform.database.read_preferring_replica(read)
            return atom(_feed_of(bugs, query, tag=tag, updated=updated, settings=platform.settings))

        if viewer.signed_in:
            return Response(await load(), media_type=MEDIA_TYPE)
        return await cached_response(
            request, group=LISTS, key=list_key(query), load=load, media_type=MEDIA_TYPE, etag_of=atom_etag
        )


async def feed_tag(platform: Platform) -> FeedTag:
    """The tag of ids; the first request stores it."""
    tag = await repository.feed_tag(platform.database)
    if tag is None:
        async with platform.work() as work:
            tag = await choose_feed_tag(work, public_url=platform.settings.public_url)
    return tag


def _feed_of(
    bugs: Sequence[BugItem], query: FeedQuery, *, tag: FeedTag, updated: datetime, settings: Settings
) -> Feed:
    """The feed of a list.

    Args:
        bugs: The bugs, newest first.
        query: The filters.
        tag: The board's tag.
        updated: When the bugs were read. The time of the newest bug would go back when that is removed.
        settings: The name and URL of the site.
    """
    site = settings.public_url
    filters = f"?{query.query_string}" if query.wanted else ""
    return Feed(
        id=tag(f"bugs{filters}"),
        title=", ".join([f"{settings.site_name}: bugs", *map(": ".join, query.wanted.items())]),
        author=settings.site_name,
        updated=updated,
        links=(
            Link(rel="self", href=f"{site}/feeds/bugs.atom{filters}", media_type="application/atom+xml"),
            Link(rel="alternate", href=f"{site}{BUGS}{filters}"),
        ),
        entries=[_entry_of(bug, tag=tag, site=site) for bug in bugs],
    )


def _entry_of(bug: BugItem, *, tag: FeedTag, site: str) -> Entry:
    return Entry(
        id=tag(f"bugs/{bug.id}"),
        title=bug.title,
        html=bug.description_html,
        author=bug.reporter.username if bug.reporter else NOBODY,
        published=bug.created_at,
        updated=max(bug.created_at, bug.updated_at),
        links=(Link(rel="alternate", href=f"{site}{BUGS}/{bug.id}"),),
        tags=bug.tags,
    )
