"""`/feeds/bugs/{id}.atom`: the events of one bug."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get

from bugrelay.api.feeds.atom import MEDIA_TYPE, Entry, Feed, Link, atom, atom_etag
from bugrelay.api.feeds.bugs import BUGS, NOBODY, feed_tag
from bugrelay.domain.bugs.cache import detail_group
from bugrelay.domain.bugs.errors import BugMerged, BugNotFound
from bugrelay.domain.bugs.repository import find_bug, visible_bug
from bugrelay.domain.bugs.schemas import BugItem
from bugrelay.domain.feeds import repository
from bugrelay.domain.feeds.cache import bug_key
from bugrelay.domain.feeds.repository import BugEvent
from bugrelay.domain.feeds.schemas import BugFeedQuery, FeedTag
from bugrelay.domain.feeds.service import MAX_ENTRIES
from bugrelay.errors import InvalidId, RouteNotFound
from bugrelay.http.request import ApiRequest
from bugrelay.http.response_cache import cached_response
from bugrelay.http.routes import Route, anyone
from bugrelay.infra.db.query import Reader
from bugrelay.infra.ids import parse_id
from bugrelay.infra.viewer import ANONYMOUS, Viewer
from bugrelay.settings import Settings

_SUFFIX = ".atom"
_SENTENCES = {
    "bug.created": "{who} reported this bug.",
    "bug.edited": "Changed: {fields}.",
    "status.changed": "The status is now “{new}”; it was “{old}”.",
    "comment.created": "{who} commented.",
    "response.created": "{who} responded officially.",
    "bug.merged": "{what} merged into {where}.",
    "bug.unmerged": "A merge was undone.",
}
_STATUS = {"open": "open", "reviewing": "in review", "fixed": "fixed", "wont_fix": "not going to be fixed"}


@dataclass(frozen=True)
class _BugAndEvents:
    """The contents of a feed.

    Attributes:
        bug: The bug.
        events: The events to show, newest first.
        last_at: The time of the last event, shown or not: that of the newest entry would go back when it is removed.
    """

    bug: BugItem
    events: Sequence[BugEvent]
    last_at: datetime | None


class BugFeedController(Controller):
    path = "/feeds/bugs"
    tags = ("Feeds",)

    @get("/{file:str}")
    @Route(access=anyone(same_for_all=True), limits=("feeds",), media_types=("application/atom+xml",))
    async def get_bug_feed(self, request: ApiRequest, viewer: Viewer, file: str) -> Response[Any]:
        """Follow one bug: its fifty latest events, without votes."""
        bug_id, platform = _bug_named(file), request.platform
        request.read_query(BugFeedQuery)

        async def read(reader: Reader, _primary: Reader | None) -> _BugAndEvents:
            return _BugAndEvents(
                await _listed_bug(reader, bug_id),
                await repository.bug_events(reader, bug_id, limit=MAX_ENTRIES),
                await repository.last_event_at(reader, bug_id),
            )

        async def load() -> bytes:
            found = await platform.database.read_preferring_replica(read)
            return atom(_feed_of(found, tag=await feed_tag(platform), settings=platform.settings))

        if viewer.signed_in:
            return Response(await load(), media_type=MEDIA_TYPE)
        group, key = detail_group(bug_id), bug_key(bug_id)
        return await cached_response(
            request, group=group, key=key, load=load, media_type=MEDIA_TYPE, etag_of=atom_etag
        )


def _bug_named(file: str) -> UUID:
    """The id in the name of a feed.

    Raises:
        RouteNotFound: The name does not end in `.atom`.
        InvalidId
    """
    if not file.endswith(_SUFFIX):
        raise RouteNotFound
    bug_id = parse_id(file.removesuffix(_SUFFIX))
    if bug_id is None:
        raise InvalidId
    return bug_id


async def _listed_bug(reader: Reader, bug_id: UUID) -> BugItem:
    """The bug as everybody may see it.

    Raises:
        BugNotFound, BugMerged
    """
    state = await visible_bug(reader, ANONYMOUS, bug_id)
    if state is not None and state.merged_into_id is not None:
        raise BugMerged(f"/feeds/bugs/{state.merged_into_id}{_SUFFIX}")
    record = None if state is None else await find_bug(reader, bug_id)
    if record is None:
        raise BugNotFound
    return record.bug


def _feed_of(found: _BugAndEvents, *, tag: FeedTag, settings: Settings) -> Feed:
    """The feed of a bug.

    Args:
        found: The bug and its events.
        tag: The board's tag.
        settings: The name and URL of the site.
    """
    bug, site = found.bug, settings.public_url
    entries = [_entry_of(event, tag=tag, bug_url=f"{site}{BUGS}/{bug.id}") for event in found.events]
    return Feed(
        id=tag(f"bugs/{bug.id}/events"),
        title=f"{settings.site_name}: {bug.title}",
        author=settings.site_name,
        updated=max([found.last_at or bug.created_at, *(entry.updated for entry in entries)]),
        links=(
            Link(rel="self", href=f"{site}/feeds/bugs/{bug.id}{_SUFFIX}", media_type="application/atom+xml"),
            Link(rel="alternate", href=f"{site}{BUGS}/{bug.id}"),
        ),
        entries=entries,
    )


def _entry_of(event: BugEvent, *, tag: FeedTag, bug_url: str) -> Entry:
    title = _sentence_of(event)
    return Entry(
        id=tag(event.event_id),
        title=title,
        html=event.content_html or f"<p>{escape(title)}</p>",
        author=event.company or event.actor or NOBODY,
        published=event.at,
        updated=max(event.at, event.edited_at or event.at),
        links=(Link(rel="alternate", href=bug_url),),
    )


def _sentence_of(event: BugEvent) -> str:
    """The event in one sentence."""
    data = event.data
    return _SENTENCES[event.type].format(
        who=event.company or event.actor or "Somebody",
        fields=", ".join(data.get("fields", ())).replace("_", " "),
        old=_STATUS.get(data.get("from", "")),
        new=_STATUS.get(data.get("to", "")),
        what="Another report of the same bug was" if "source_id" in data else "This report was",
        where="this one" if "source_id" in data else "another one",
    )
