"""The conversation on `/ws/{client_id}`: who asks, what they subscribe to, and events as they are committed.

Each connection has one task. It waits for a message of the client, an update, an end from outside and the next thing
due, whichever comes first, and does one after the other: so nothing is sent twice at once, and a client that does not
read is not read from.
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
from bugrelay.api.tenant import HEADER, PARAMETER, one_company
from bugrelay.domain.accounts.service import authenticate
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.companies.service.tenants import find_tenant
from bugrelay.domain.live.schemas import Closed, LiveEvent, Resync, Update, Wanted
from bugrelay.domain.live.service.hub import Hub
from bugrelay.domain.live.service.listeners import Heard, Listener
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.repository.tickets import ticket_named
from bugrelay.errors import ServiceUnavailable
from bugrelay.http.guard import bearer_token
from bugrelay.http.handshake import ROUTE
from bugrelay.http.request import query_pairs
from bugrelay.http.responses import to_json
from bugrelay.http.websocket import Budget, CloseCode, Refused, WebSocket
from bugrelay.infra.client_address import limit_identity
from bugrelay.infra.db.database import bulkhead
from bugrelay.infra.ids import parse_id
from bugrelay.infra.platform import Platform
from bugrelay.infra.viewer import SignedInViewer

SENT_AT_ONCE = 64  # updates, before a message of the client and what is due have their turn

_CLOSED = {
    "unauthenticated": (CloseCode.UNAUTHENTICATED, "the session has ended"),
    "forbidden": (CloseCode.FORBIDDEN, "the account is banned, or no longer of the company"),
    "stopping": (CloseCode.STOPPING, "this server is stopping"),
}


class LiveSockets:
    """The conversations of a process."""

    def __init__(self, platform: Platform, hub: Hub, clients: Clients) -> None:
        self._platform = platform
        self._hub = hub
        self._clients = clients

    async def talk(self, socket: WebSocket, client_id: str) -> None:
        """Until it is cancelled, or the connection has to be closed.

        Raises:
            Refused, Disconnected
            BugRelayError: Whoever asks is nobody that we know, or belongs to no such company.
        """
        check_client_id(client_id)
        bulkhead.set(f"WS {ROUTE}")
        with ExitStack() as held:
            self._count(held)
            conversation = _Conversation(socket, client_id, self._platform, self._hub, self._clients)
            held.callback(conversation.end)
            await conversation.begin()
            while True:
                await conversation.go_on()

    def _count(self, held: ExitStack) -> None:
        try:
            held.enter_context(self._hub.connections.one())
        except ServiceUnavailable as error:
            raise Refused(CloseCode.TOO_MANY, error.message) from error


class _Subscription:
    """What a connection is told, and the wait for what comes next.

    Attributes:
        wanted: What was asked for.
        next: Done when there is something to tell.
    """

    def __init__(self, listener: Listener, wanted: Wanted, since: int | None) -> None:
        self._listener = listener
        self.wanted = wanted
        self._since = int(listener.position) if since is None else since
        self.next = self._wait()

    @property
    def position(self) -> int:
        """The number behind which another goes on. Only while nothing is waited for: see `stop`."""
        return int(self._listener.position)

    def has_told(self, wanted: Wanted, since: int) -> bool:
        """Whether all that is wanted behind this number was told, up to the position."""
        return wanted == self.wanted and self._since <= since

    def take(self) -> list[Heard]:
        """What there is to tell, some of it; then `next` waits for more."""
        heard = [self.next.result()]
        while len(heard) < SENT_AT_ONCE and (another := self._listener.next_at_once()) is not None:
            heard.append(another)
        self.next = self._wait()
        return heard

    async def stop(self) -> list[Heard]:
        """Wait for nothing any more; gives what has come all the same."""
        self.next.cancel()
        await asyncio.wait((self.next,))
        return [] if self.next.cancelled() else [self.next.result()]

    def end(self) -> None:
        self.next.cancel()
        self._listener.close()

    def _wait(self) -> asyncio.Task[Heard]:
        return asyncio.get_running_loop().create_task(self._listener.next())


class _Conversation:
    """One connection."""

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
        self._requests = Budget(MAX_REQUESTS, REQUEST_SECONDS)
        self._tenant: Tenant | None = None
        self._session_id: UUID | None = None
        self._subscription: _Subscription | None = None
        self._last_sent = 0

    async def begin(self) -> None:
        """Sign in whom the handshake names; where it names nobody, `auth` has to follow."""
        address = limit_identity(self._socket.scope["state"]["client_address"])
        self._connection.counted.enter_context(self._hub.connections.of_address(address))
        token = bearer_token(self._headers("authorization"))
        if token is not None:
            await self._sign_in(Auth(token))

    async def go_on(self) -> None:
        """Wait for the next thing to do, and do it.

        Raises:
            Refused, Disconnected, BugRelayError
        """
        seconds = max(0.0, self._schedule.next_at - self._loop.time())
        message = await self._socket.wait(*self._others(), timeout_seconds=seconds)
        if self._connection.ended.done():
            raise self._connection.ended.result()
        if message is not None:
            self._schedule.heard(self._loop.time())
            await self._obey(read_message(message))
        if self._subscription is not None and self._subscription.next.done():
            await self._tell(self._subscription.take())
        if self._schedule.is_ping_due(self._loop.time()):
            await self._socket.send(PING)

    def end(self) -> None:
        """Nothing more is waited for."""
        self._clients.close(self._connection)
        if self._subscription is not None:
            self._subscription.end()

    def _others(self) -> list[asyncio.Future[Any]]:
        told = [] if self._subscription is None else [self._subscription.next]
        return [self._connection.ended, *told]

    # --- what the client says -----------------------------------------------------------------------------------------

    async def _obey(self, message: ClientMessage) -> None:
        if isinstance(message, Pong):
            return
        if not self._requests.spend(self._loop.time()):
            raise Refused(CloseCode.TOO_MANY, f"more than {MAX_REQUESTS} auth and subscribe a minute")
        if isinstance(message, Auth):
            await self._sign_in(message)
        else:
            await self._subscribe(message)

    async def _sign_in(self, message: Auth) -> None:
        """
        Raises:
            InvalidToken, AccountBanned, CompanyRequired, CompanyNotFound, ValidationFailed, TooManyStreams
            Refused: The connection is somebody else's, or about another company.
        """
        database, tokens = self._platform.database, self._platform.tokens
        viewer = await authenticate(message.token, reader=database, tokens=tokens)
        tenant = await find_tenant(database, viewer.user_id, named=self._company(message.company))
        ends_in = (tokens.read(message.token).expires_at - datetime.now(UTC)).total_seconds()
        if self._tenant is None:
            self._begin_as(tenant)
        elif (tenant.company_id, tenant.user_id) != (self._tenant.company_id, self._tenant.user_id):
            raise Refused(CloseCode.FORBIDDEN, "a connection keeps its user and its company")
        self._schedule.signed_in(self._loop.time() + ends_in)
        await self._change_session(tenant, viewer)
        await self._socket.send(to_json(Hello(await self._hub.head(tenant.company_id))))

    def _company(self, named: str | None) -> str | None:
        """The company that a message names, or else the handshake; later on it stays the same.

        Raises:
            ValidationFailed: They name two.
        """
        if self._tenant is not None and not named:
            return str(self._tenant.company_id)
        asked = [
            value for name, value in query_pairs(self._socket.scope["query_string"]) if name == PARAMETER
        ]
        return one_company([*self._headers(HEADER), *asked, named or ""])

    def _begin_as(self, tenant: Tenant) -> None:
        """
        Raises:
            TooManyStreams: Its user has as many connections as they may.
        """
        client, counted = (tenant.user_id, self._client_id), self._connection.counted
        counted.close()
        self._clients.replace(client, self._connection)
        counted.enter_context(self._hub.connections.of_user(tenant.user_id))

    async def _change_session(self, tenant: Tenant, viewer: SignedInViewer) -> None:
        """Go on in the session of the token that has just come."""
        former, self._tenant, self._session_id = self._session_id, tenant, viewer.session_id
        if self._subscription is not None and former != viewer.session_id:
            wanted = self._subscription.wanted
            await self._listen(wanted, await self._leave(self._subscription))

    async def _subscribe(self, message: Subscribe) -> None:
        """
        Raises:
            TicketNotFound
            Refused: Nobody has signed in.
        """
        if self._tenant is None:
            raise Refused(CloseCode.UNAUTHENTICATED, "auth comes first")
        wanted, since = await self._wanted(self._tenant, message), message.since
        if self._subscription is not None:
            since = await self._resume(self._subscription, wanted, since, self._tenant)
        await self._listen(wanted, since)

    async def _wanted(self, tenant: Tenant, message: Subscribe) -> Wanted:
        tickets = [await self._ticket_id(tenant, name) for name in message.tickets or ()]
        return Wanted(frozenset(message.types or ()), frozenset(message.projects or ()), frozenset(tickets))

    async def _ticket_id(self, tenant: Tenant, name: str) -> UUID:
        """The ticket, by its id whether or not it is seen: its removal is told as well."""
        ticket_id = parse_id(name)
        if ticket_id is not None:
            return ticket_id
        found = await ticket_named(self._platform.database, tenant, name.upper())
        if found is None:
            raise TicketNotFound
        return found.id

    async def _resume(self, former: _Subscription, wanted: Wanted, since: int | None, tenant: Tenant) -> int:
        """The number behind which another subscription begins.

        No number comes twice on a connection. So where something behind `since` was sent and something else, which the
        former subscription did not ask for, was not, the client is told to load it.
        """
        position = await self._leave(former)
        if since is None or (since < self._last_sent and former.has_told(wanted, since)):
            return position
        if since >= self._last_sent:
            return since
        head = await self._hub.head(tenant.company_id)
        await self._send_resync(head)
        return head

    async def _leave(self, subscription: _Subscription) -> int:
        """End a subscription; gives the number behind which another goes on."""
        await self._tell(await subscription.stop())
        position = subscription.position
        subscription.end()
        self._subscription = None
        return position

    async def _listen(self, wanted: Wanted, since: int | None) -> None:
        assert self._tenant is not None  # noqa: S101 - both are known from the first `auth` on
        assert self._session_id is not None  # noqa: S101
        listener = await self._hub.listen(
            self._tenant,
            self._session_id,
            since=since,
            projects=wanted.projects,
            tickets=wanted.tickets,
            types=wanted.types,
        )
        self._subscription = _Subscription(listener, wanted, since)

    # --- what it is told ----------------------------------------------------------------------------------------------

    async def _tell(self, heard: list[Heard]) -> None:
        """
        Raises:
            Refused: Nothing follows, or the client does not read.
            Disconnected
        """
        for one in heard:
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
