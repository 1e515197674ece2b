"""`/ws/{client_id}`: authentication, subscriptions, and events as they are committed.

Each connection has one task. It waits for a message of the client, an event, a close from elsewhere and the next
deadline, whichever comes first, and handles one after the other: so there are never two sends at once, and nothing is
read from a client that does not read.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bugrelay.api.live.clients import Clients, Connection
from bugrelay.api.live.protocol import (
    MAX_REQUESTS,
    PING,
    REQUEST_SECONDS,
    Auth,
    ClientMessage,
    Hello,
    Pong,
    ResyncNeeded,
    Schedule,
    Subscribe,
    check_client_id,
    event_message,
    read_message,
)
from bugrelay.api.tenant import HEADER, PARAMETER, company_names
from bugrelay.domain.accounts.service import authenticate
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.companies.service.tenants import find_tenant
from bugrelay.domain.live.schemas import Closed, EventFilter, LiveEvent, Resync, Update
from bugrelay.domain.live.service.hub import Hub
from bugrelay.domain.live.service.listeners import Item, Listener
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.repository.tickets import ticket_named
from bugrelay.errors import ServiceUnavailable
from bugrelay.http.guard import bearer_token
from bugrelay.http.handshake import ROUTE
from bugrelay.http.request import query_pairs
from bugrelay.http.responses import to_json
from bugrelay.http.websocket import CloseCode, Refused, SlidingWindow, WebSocket
from bugrelay.infra.client_address import limit_identity
from bugrelay.infra.db.database import bulkhead
from bugrelay.infra.ids import parse_id
from bugrelay.infra.platform import Platform
from bugrelay.infra.viewer import SignedInViewer

SENT_AT_ONCE = 64  # events, before messages of the client and deadlines are looked at again

_CLOSED = {
    "unauthenticated": (CloseCode.UNAUTHENTICATED, "the session has ended"),
    "forbidden": (CloseCode.FORBIDDEN, "the account is banned, or no longer of the company"),
    "stopping": (CloseCode.STOPPING, "this server is stopping"),
}


class LiveSockets:
    """The WebSocket connections of a process."""

    def __init__(self, platform: Platform, hub: Hub, clients: Clients) -> None:
        self._platform = platform
        self._hub = hub
        self._clients = clients

    async def serve(self, socket: WebSocket, client_id: str) -> None:
        """Serve a connection until it is cancelled, or has to be closed.

        Raises:
            Refused, Disconnected
            BugRelayError: Authentication or authorisation has failed.
        """
        check_client_id(client_id)
        bulkhead.set(f"WS {ROUTE}")
        with ExitStack() as held:
            self._count(held)
            handler = _ConnectionHandler(socket, client_id, self._platform, self._hub, self._clients)
            held.callback(handler.end)
            await handler.start()
            while True:
                await handler.step()

    def _count(self, held: ExitStack) -> None:
        try:
            held.enter_context(self._hub.connections.slot())
        except ServiceUnavailable as error:
            raise Refused(CloseCode.TOO_MANY_REQUESTS, error.message) from error


class _Subscription:
    """A listener, and the task that waits for its next item.

    Attributes:
        event_filter: The filter of the subscription.
        next: The task; done when there is something to send.
    """

    def __init__(self, listener: Listener, event_filter: EventFilter, since: int | None) -> None:
        self._listener = listener
        self.event_filter = event_filter
        self._since = int(listener.position) if since is None else since
        self.next = self._wait()

    @property
    def position(self) -> int:
        """The number after which another subscription continues; valid after `stop`."""
        return int(self._listener.position)

    def has_sent(self, event_filter: EventFilter, since: int) -> bool:
        """Whether all events after `since` that match the filter were sent, up to the position."""
        return event_filter == self.event_filter and self._since <= since

    def take(self) -> list[Item]:
        """Up to `SENT_AT_ONCE` items that are there; then `next` waits for more."""
        items = [self.next.result()]
        while len(items) < SENT_AT_ONCE and (another := self._listener.next_nowait()) is not None:
            items.append(another)
        self.next = self._wait()
        return items

    async def stop(self) -> list[Item]:
        """Stop waiting; returns an item that has come meanwhile."""
        self.next.cancel()
        await asyncio.wait((self.next,))
        return [] if self.next.cancelled() else [self.next.result()]

    def end(self) -> None:
        self.next.cancel()
        self._listener.close()

    def _wait(self) -> asyncio.Task[Item]:
        return asyncio.get_running_loop().create_task(self._listener.next())


class _ConnectionHandler:
    """The state of one connection."""

    def __init__(
        self, socket: WebSocket, client_id: str, platform: Platform, hub: Hub, clients: Clients
    ) -> None:
        self._socket = socket
        self._client_id = client_id
        self._platform = platform
        self._hub = hub
        self._clients = clients
        self._connection = Connection()
        self._loop = asyncio.get_running_loop()
        self._schedule = Schedule(self._loop.time())
        self._requests = SlidingWindow(MAX_REQUESTS, REQUEST_SECONDS)
        self._tenant: Tenant | None = None
        self._session_id: UUID | None = None
        self._subscription: _Subscription | None = None
        self._last_sent = 0

    async def start(self) -> None:
        """Authenticate by the handshake, if it has a token; else `auth` has to follow."""
        address = limit_identity(self._socket.scope["state"]["client_address"])
        self._connection.slots.enter_context(self._hub.connections.address_slot(address))
        token = bearer_token(self._headers("authorization"))
        if token is not None:
            await self._sign_in(Auth(token))

    async def step(self) -> None:
        """Wait for the next thing to handle, and handle it.

        Raises:
            Refused, Disconnected, BugRelayError
        """
        seconds = max(0.0, self._schedule.next_at - self._loop.time())
        message = await self._socket.wait(*self._awaited(), timeout_seconds=seconds)
        if self._connection.ended.done():
            raise self._connection.ended.result()
        if message is not None:
            self._schedule.received(self._loop.time())
            await self._handle(read_message(message))
        if self._subscription is not None and self._subscription.next.done():
            await self._send(self._subscription.take())
        if self._schedule.is_ping_due(self._loop.time()):
            await self._socket.send(PING)

    def end(self) -> None:
        """Release everything that the connection holds."""
        self._clients.close(self._connection)
        if self._subscription is not None:
            self._subscription.end()

    def _awaited(self) -> list[asyncio.Future[Any]]:
        awaited = [] if self._subscription is None else [self._subscription.next]
        return [self._connection.ended, *awaited]

    # --- messages of the client ---------------------------------------------------------------------------------------

    async def _handle(self, message: ClientMessage) -> None:
        if isinstance(message, Pong):
            return
        if not self._requests.allow(self._loop.time()):
            raise Refused(
                CloseCode.TOO_MANY_REQUESTS, f"more than {MAX_REQUESTS} auth and subscribe a minute"
            )
        if isinstance(message, Auth):
            await self._sign_in(message)
        else:
            await self._subscribe(message)

    async def _sign_in(self, message: Auth) -> None:
        """
        Raises:
            InvalidToken, AccountBanned, CompanyRequired, CompanyNotFound, ValidationFailed, TooManyStreams
            Refused: The connection belongs to another user or company.
        """
        database, tokens = self._platform.database, self._platform.tokens
        viewer = await authenticate(message.token, reader=database, tokens=tokens)
        tenant = await find_tenant(database, viewer.user_id, named=self._company(message.company))
        ends_in = (tokens.read(message.token).expires_at - datetime.now(UTC)).total_seconds()
        if self._tenant is None:
            self._bind(tenant)
        elif (tenant.company_id, tenant.user_id) != (self._tenant.company_id, self._tenant.user_id):
            raise Refused(CloseCode.FORBIDDEN, "a connection keeps its user and its company")
        self._schedule.authenticated(self._loop.time() + ends_in)
        await self._change_session(tenant, viewer)
        await self._socket.send(to_json(Hello(await self._hub.head(tenant.company_id))))

    def _company(self, named: str | None) -> set[str]:
        """The names of the company in the message and the handshake; once set, it stays the same.

        Raises:
            ValidationFailed: They name different ones.
        """
        if self._tenant is not None and not named:
            return {str(self._tenant.company_id)}
        asked = [
            value for name, value in query_pairs(self._socket.scope["query_string"]) if name == PARAMETER
        ]
        return company_names([*self._headers(HEADER), *asked, named or ""])

    def _bind(self, tenant: Tenant) -> None:
        """
        Raises:
            TooManyStreams: The user has too many connections.
        """
        client, slots = (tenant.user_id, self._client_id), self._connection.slots
        slots.close()
        self._clients.replace(client, self._connection)
        slots.enter_context(self._hub.connections.user_slot(tenant.user_id))

    async def _change_session(self, tenant: Tenant, viewer: SignedInViewer) -> None:
        """Move the subscription to the session of the new token."""
        previous, self._tenant, self._session_id = self._session_id, tenant, viewer.session_id
        if self._subscription is not None and previous != viewer.session_id:
            event_filter = self._subscription.event_filter
            await self._listen(event_filter, await self._stop(self._subscription))

    async def _subscribe(self, message: Subscribe) -> None:
        """
        Raises:
            TicketNotFound
            Refused: The connection is not authenticated.
        """
        if self._tenant is None:
            raise Refused(CloseCode.UNAUTHENTICATED, "auth comes first")
        event_filter, since = await self._event_filter(self._tenant, message), message.since
        if self._subscription is not None:
            since = await self._resume(self._subscription, event_filter, since, self._tenant)
        await self._listen(event_filter, since)

    async def _event_filter(self, tenant: Tenant, message: Subscribe) -> EventFilter:
        tickets = [await self._ticket_id(tenant, name) for name in message.tickets or ()]
        return EventFilter(
            frozenset(message.types or ()), frozenset(message.projects or ()), frozenset(tickets)
        )

    async def _ticket_id(self, tenant: Tenant, name: str) -> UUID:
        """The ticket's id. An id is not looked up, so that clients can wait for the removal of a ticket."""
        ticket_id = parse_id(name)
        if ticket_id is not None:
            return ticket_id
        found = await ticket_named(self._platform.database, tenant, name.upper())
        if found is None:
            raise TicketNotFound
        return found.id

    async def _resume(
        self, previous: _Subscription, event_filter: EventFilter, since: int | None, tenant: Tenant
    ) -> int:
        """The number after which the new subscription begins.

        Ids only rise on a connection. So where an event after `since` was sent already, and others were not because the
        previous subscription filtered them out, the client has to reload its state.
        """
        position = await self._stop(previous)
        if since is None or (since < self._last_sent and previous.has_sent(event_filter, since)):
            return position
        if since >= self._last_sent:
            return since
        head = await self._hub.head(tenant.company_id)
        await self._send_resync(head)
        return head

    async def _stop(self, subscription: _Subscription) -> int:
        """End a subscription; returns the number after which the next one continues."""
        await self._send(await subscription.stop())
        position = subscription.position
        subscription.end()
        self._subscription = None
        return position

    async def _listen(self, event_filter: EventFilter, since: int | None) -> None:
        assert self._tenant is not None  # noqa: S101 - both are known from the first `auth` on
        assert self._session_id is not None  # noqa: S101
        listener = await self._hub.listen(
            self._tenant,
            self._session_id,
            since=since,
            projects=event_filter.projects,
            tickets=event_filter.tickets,
            types=event_filter.types,
        )
        self._subscription = _Subscription(listener, event_filter, since)

    # --- messages to the client ---------------------------------------------------------------------------------------

    async def _send(self, items: list[Item]) -> None:
        """
        Raises:
            Refused: The listener was closed, or the client does not read.
            Disconnected
        """
        for one in items:
            if isinstance(one, Update) and isinstance(one.event, LiveEvent):
                self._last_sent = one.event.id
                await self._socket.send(to_json(event_message(one.event)))
            elif isinstance(one, Resync):
                await self._send_resync(int(one.head))
            elif isinstance(one, Closed):
                raise Refused(*_CLOSED[one.reason])

    async def _send_resync(self, head: int) -> None:
        self._last_sent = head
        await self._socket.send(to_json(ResyncNeeded(head)))

    def _headers(self, name: str) -> list[str]:
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self._socket.scope["headers"] if key == wanted]
