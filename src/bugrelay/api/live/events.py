"""`/api/v1/events`: what happens in a company, pulled or pushed."""

from __future__ import annotations

import re
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Response, get
from msgspec import Meta, Struct

from bugrelay.api.live.examples import EVENTS
from bugrelay.api.live.streams import hub_of, resume_from, stream_of
from bugrelay.api.tenant import require_tenant
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.live.schemas import EventsPage, Wanted
from bugrelay.domain.live.service.reading import pull
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.repository.tickets import ticket_named
from bugrelay.errors import ValidationFailed
from bugrelay.http import event_stream
from bugrelay.http.event_stream import EventStream
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.ids import parse_id
from bugrelay.infra.validation import OneLine
from bugrelay.infra.viewer import SignedInViewer

MAX_NUMBER = 2**63 - 1
_NUMBER = re.compile(r"[0-9]{1,18}")

Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]


class WantedEvents(Struct, kw_only=True):
    """Which events of the company are asked for.

    Attributes:
        types: Events of these types alone, separated by commas.
        project_id: Events of this project and its tickets alone.
        ticket: Events of this ticket alone, by its id or key.
    """

    types: Annotated[str, OneLine, Meta(max_length=500)] | None = None
    project_id: UUID | None = None
    ticket: Annotated[str, OneLine, Meta(max_length=64)] | None = None


class EventsQuery(WantedEvents, kw_only=True):
    """`GET /api/v1/events`.

    Attributes:
        since: The number behind which the page begins.
        limit: Events of the page, at most.
    """

    since: Number = 0
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class StreamQuery(WantedEvents, kw_only=True):
    """`GET /api/v1/events/stream`.

    Attributes:
        since: The number behind which it begins; from now on, where neither it nor `Last-Event-ID` is sent.
    """

    since: Number | None = None


class EventsController(Controller):
    path = "/api/v1/events"
    tags = ("Events",)

    @get("/")
    @Route(access=tenant_users(), loads=require_tenant, query=EventsQuery, errors=(410,), example=EVENTS)
    async def list_events(
        self, request: ApiRequest, tenant: Tenant, query: EventsQuery
    ) -> Response[EventsPage]:
        """List what has happened in the company, oldest first.

        The next page begins at `since` = `next`; there is more while `next` is smaller than `head`, also where a page
        is empty.
        """
        wanted = await _wanted(request, tenant, query)
        database = request.platform.database
        page = await pull(database, tenant, since=query.since, limit=query.limit, wanted=wanted)
        return json_response(page)

    @get("/stream")
    @Route(
        access=tenant_users(),
        loads=require_tenant,
        query=StreamQuery,
        media_types=(event_stream.MEDIA_TYPE,),
    )
    async def stream_events(
        self, request: ApiRequest, viewer: SignedInViewer, tenant: Tenant, query: StreamQuery
    ) -> Response[Any]:
        """Follow what happens in the company, as server-sent events.

        Each is one of `GET /api/v1/events`, under its number. `Last-Event-ID` resumes behind one, and `resync` says
        that too much or too old was missed. It ends after fifteen minutes, or with the token.
        """
        wanted = await _wanted(request, tenant, query)
        since = _number(resume_from(request, None), query.since)
        hub = hub_of(request)
        with ExitStack() as held:
            held.enter_context(hub.connections.one())
            held.enter_context(hub.connections.of_user(viewer.user_id))
            listener = await hub.listen(
                tenant,
                viewer.session_id,
                since=since,
                projects=wanted.projects,
                tickets=wanted.tickets,
                types=wanted.types,
            )
            held.callback(listener.close)
            return EventStream(stream_of(listener, seconds=_seconds(request)), held.pop_all())


def _number(last_event_id: str | None, since: int | None) -> int | None:
    """
    Raises:
        ValidationFailed: `Last-Event-ID` is none of ours.
    """
    if last_event_id is None:
        return since
    if not _NUMBER.fullmatch(last_event_id):
        raise ValidationFailed.of("Last-Event-ID", "must be the id of an event of this stream")
    return int(last_event_id)


async def _wanted(request: ApiRequest, tenant: Tenant, query: WantedEvents) -> Wanted:
    types = frozenset(filter(None, (part.strip() for part in (query.types or "").split(","))))
    projects = frozenset([query.project_id] if query.project_id else [])
    tickets = frozenset([await _ticket_id(request, tenant, query.ticket)] if query.ticket else [])
    return Wanted(types, projects, tickets)


async def _ticket_id(request: ApiRequest, tenant: Tenant, name: str) -> UUID:
    """The ticket, by its id whether or not it is seen: its removal is told as well.

    Raises:
        TicketNotFound: Nobody of the company sees one under this key, or not who asks.
    """
    ticket_id = parse_id(name)
    if ticket_id is not None:
        return ticket_id
    found = await ticket_named(request.platform.database, tenant, name.upper())
    if found is None:
        raise TicketNotFound
    return found.id


def _seconds(request: ApiRequest) -> float:
    """How long a stream may last: not beyond the token that it was opened with."""
    token = request.headers["authorization"].partition(" ")[2].strip()
    claims = request.platform.tokens.read(token)
    left = (claims.expires_at - datetime.now(UTC)).total_seconds()
    return min(event_stream.LIFE_SECONDS, left)
