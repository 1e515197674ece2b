"""`/api/v1/bugs/events/stream`, `/api/v1/bugs/{id}/events/stream`: public events of the board."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Response, get
from msgspec import Meta, Struct

from bugrelay.api.live.streams import hub_of, resume_from, stream_of
from bugrelay.domain.bugs.errors import BugMerged, BugNotFound
from bugrelay.domain.bugs.repository import visible_bug
from bugrelay.domain.bugs.schemas import BugState
from bugrelay.domain.live.cursors import MAX_CURSOR_CHARACTERS, BoardCursor
from bugrelay.errors import ValidationFailed
from bugrelay.http import event_stream
from bugrelay.http.event_stream import EventStream
from bugrelay.http.request import ApiRequest
from bugrelay.http.routes import Route, anyone
from bugrelay.infra.client_address import limit_identity
from bugrelay.infra.validation import OneLine
from bugrelay.infra.viewer import ANONYMOUS


class BoardStreamQuery(Struct, kw_only=True):
    """Where a stream of the board begins.

    Attributes:
        since: The `id` of an event of such a stream, for clients that cannot send `Last-Event-ID`; without it from now
            on.
    """

    since: Annotated[str, OneLine, Meta(max_length=MAX_CURSOR_CHARACTERS)] | None = None


async def load_public_bug(request: ApiRequest) -> BugState:
    """The bug of the path, as everybody sees it.

    Raises:
        InvalidId, BugNotFound, BugMerged
    """
    bug = await visible_bug(request.platform.database, ANONYMOUS, request.path_id("bug_id"))
    if bug is None:
        raise BugNotFound
    if bug.merged_into_id is not None:
        query = request.scope["query_string"].decode("latin-1")
        raise BugMerged(f"/api/v1/bugs/{bug.merged_into_id}/events/stream{'?' if query else ''}{query}")
    return bug


class BoardStreamController(Controller):
    path = "/api/v1/bugs"
    tags = ("Events",)

    @get("/events/stream")
    @Route(access=anyone(same_for_all=True), query=BoardStreamQuery, media_types=(event_stream.MEDIA_TYPE,))
    async def stream_board(self, request: ApiRequest, query: BoardStreamQuery) -> Response[Any]:
        """Follow the public events of the board, as server-sent events.

        `Last-Event-ID` resumes after an event, also of another stream of the board. `resync` says that the client has
        missed too much and must reload its state.
        """
        return await _stream(request, query, bug_id=None)

    @get("/{bug_id:str}/events/stream")
    @Route(
        access=anyone(same_for_all=True),
        loads=load_public_bug,
        query=BoardStreamQuery,
        media_types=(event_stream.MEDIA_TYPE,),
    )
    async def stream_bug(self, request: ApiRequest, bug: BugState, query: BoardStreamQuery) -> Response[Any]:
        """Follow what happens to one bug, as server-sent events."""
        return await _stream(request, query, bug_id=bug.id)


async def _stream(request: ApiRequest, query: BoardStreamQuery, *, bug_id: UUID | None) -> EventStream:
    """
    Raises:
        ValidationFailed, ServiceUnavailable, TooManyStreams
    """
    since = _cursor(resume_from(request, query.since))
    hub = hub_of(request)
    with ExitStack() as held:
        held.enter_context(hub.connections.slot())
        held.enter_context(hub.connections.address_slot(limit_identity(request.client_address)))
        listener = await hub.listen_to_board(since=since, bug_id=bug_id)
        held.callback(listener.close)
        return EventStream(stream_of(listener, seconds=event_stream.LIFE_SECONDS), held.pop_all())


def _cursor(position: str | None) -> BoardCursor | None:
    if position is None:
        return None
    try:
        return BoardCursor.parse(position)
    except ValueError as error:
        raise ValidationFailed.of("since", str(error)) from error
