"""`/api/v1/events`: events of a company, polled or pushed."""

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
from bugrelay.domain.events.schemas import EVENT_TYPES
from bugrelay.domain.live.schemas import EventFilter, EventsPage
from bugrelay.domain.live.service.reading import read_page
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.repository.tickets import ticket_named
from bugrelay.errors import ValidationFailed
from bugrelay.http import event_stream
from bugrelay.http.event_stream import EventStream
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.ids import parse_id
from bugrelay.infra.validation import Check, OneLine
from bugrelay.infra.viewer import SignedInViewer

MAX_NUMBER = 2**63 - 1
_NUMBER = re.compile(r"[0-9]{1,18}")

Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]


def _types(value: str) -> list[str]:
    return list(filter(None, (part.strip() for part in value.split(","))))


def _known_types(value: str) -> str:
    """
    Raises:
        ValueError: Names all that are no types of events.
    """
    unknown = [name for name in _types(value) if name not in EVENT_TYPES]
    if unknown:
        raise ValueError(f"must be types of events, not {', '.join(unknown)}")
    return value


class EventFilterQuery(Struct, kw_only=True):
    """Filters of a company's events.

    Attributes:
        types: Only events of these types, separated by commas.
        project_id: Only events of this project and its tickets.
        ticket: Only events of this ticket, by its id or key.
    """

    types: Annotated[str, OneLine, Meta(max_length=500), Check(_known_types)] | None = None
    project_id: UUID | None = None
    ticket: Annotated[str, OneLine, Meta(max_length=64)] | None = None


class EventsQuery(EventFilterQuery, kw_only=True):
    """`GET /api/v1/events`.

    Attributes:
        since: The number after which the page begins.
        limit: The maximum number of events.
    """

    since: Number = 0
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class StreamQuery(EventFilterQuery, kw_only=True):
    """`GET /api/v1/events/stream`.

    Attributes:
        since: The number after which the stream begins; from now on, where neither it nor `Last-Event-ID` is sent.
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
        """List events of the company, oldest first.

        The next page begins at `since` = `next`; there are more events while `next` is smaller than
        `head`, even if a page is empty.
        """
        event_filter = await _event_filter(request, tenant, query)
        database = request.platform.database
        page = await read_page(
            database, tenant, since=query.since, limit=query.limit, event_filter=event_filter
        )
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
        """Follow the events of the company, as server-sent events.

        Each is an event of `GET /api/v1/events`, with its number as id. `Last-Event-ID` resumes after one. `resync`
        says that the client has missed too much and must reload its state. The stream ends after 15 minutes, or when
        the token expires.
        """
        event_filter = await _event_filter(request, tenant, query)
        since = _number(resume_from(request, None), query.since)
        hub = hub_of(request)
        with ExitStack() as held:
            held.enter_context(hub.connections.slot())
            held.enter_context(hub.connections.user_slot(viewer.user_id))
            listener = await hub.listen(
                tenant,
                viewer.session_id,
                since=since,
                projects=event_filter.projects,
                tickets=event_filter.tickets,
                types=event_filter.types,
            )
            held.callback(listener.close)
            return EventStream(stream_of(listener, seconds=_seconds(request)), held.pop_all())


def _number(last_event_id: str | None, since: int | None) -> int | None:
    """
    Raises:
        ValidationFailed: `Last-Event-ID` is not the id of an event of a company.
    """
    if last_event_id is None:
        return since
    if not _NUMBER.fullmatch(last_event_id):
        raise ValidationFailed.of("Last-Event-ID", "must be the id of an event of this stream")
    return int(last_event_id)


async def _event_filter(request: ApiRequest, tenant: Tenant, query: EventFilterQuery) -> EventFilter:
    types = frozenset(_types(query.types or ""))
    projects = frozenset([query.project_id] if query.project_id else [])
    tickets = frozenset([await _ticket_id(request, tenant, query.ticket)] if query.ticket else [])
    return EventFilter(types, projects, tickets)


async def _ticket_id(request: ApiRequest, tenant: Tenant, name: str) -> UUID:
    """The ticket's id. An id is not looked up, so that clients can wait for the removal of a ticket.

    Raises:
        TicketNotFound: The user sees no ticket with this key.
    """
    ticket_id = parse_id(name)
    if ticket_id is not None:
        return ticket_id
    found = await ticket_named(request.platform.database, tenant, name.upper())
    if found is None:
        raise TicketNotFound
    return found.id


def _seconds(request: ApiRequest) -> float:
    """How long the stream may last: at most until the token that it was opened with expires."""
    token = request.headers["authorization"].partition(" ")[2].strip()
    claims = request.platform.tokens.read(token)
    left = (claims.expires_at - datetime.now(UTC)).total_seconds()
    return min(event_stream.LIFE_SECONDS, left)
