"""The protocol of the WebSocket without I/O and clock: messages of both sides, and deadlines (docs/live.md)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, TypeAlias
from uuid import UUID

import msgspec

from bugrelay.domain.events.schemas import EventType
from bugrelay.domain.live.schemas import LiveActor, LiveEvent, LiveTicket
from bugrelay.http.websocket import CloseCode, Refused

AUTH_SECONDS = 5.0  # for the first `auth` of a client whose handshake has no Authorization
HEARTBEAT_SECONDS = 25
SILENCE_SECONDS = 60.0  # for a client to send any message, `pong` at least
MAX_REQUESTS, REQUEST_SECONDS = 30, 60.0  # of `auth` and `subscribe`, which query the database

_FEW = msgspec.Meta(max_length=50)
_CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class Auth(msgspec.Struct, tag_field="type", tag="auth"):
    """Authenticates the connection: the first message, repeated before the token expires.

    Attributes:
        token: An access token.
        company: Its id or domain; optional for users who belong to one only.
    """

    token: str
    company: str | None = None


class Subscribe(msgspec.Struct, tag_field="type", tag="subscribe"):
    """Replaces the subscription; a filter that is left out, null or empty matches everything.

    Attributes:
        since: Events after this number; where it is left out, the previous subscription continues, or events from now
            on.
        projects: Only events of these projects.
        tickets: Only events of these tickets, by id or key.
        types: Only events of these types.
    """

    since: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    projects: Annotated[list[UUID], _FEW] | None = None
    tickets: Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], _FEW] | None = None
    types: Annotated[list[EventType], _FEW] | None = None


class Pong(msgspec.Struct, tag_field="type", tag="pong"):
    """The answer to a ping; also keeps the connection alive by itself."""


ClientMessage: TypeAlias = Auth | Subscribe | Pong


class Hello(msgspec.Struct, tag_field="type", tag="hello"):
    """The token was accepted.

    Attributes:
        head: The number of the newest event of the company.
        heartbeat_seconds: The time between two pings.
    """

    head: int
    heartbeat_seconds: int = HEARTBEAT_SECONDS


class ResyncNeeded(msgspec.Struct, tag_field="type", tag="resync"):
    """The client has missed too much, or its position is too old: it must reload its state. Events after `head`
    follow."""

    head: int


class EventMessage(msgspec.Struct, tag_field="type", tag="event"):
    """An event of `GET /api/v1/events`, with its type under `event`."""

    id: int
    event: str
    at: datetime
    actor: LiveActor | None
    ticket: LiveTicket | None
    bug_id: UUID | None
    version: int | None
    data: dict[str, Any]


PING = b'{"type":"ping"}'

_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)


def read_message(content: bytes) -> ClientMessage:
    """A message of the client.

    Raises:
        Refused: It is no valid message.
    """
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(CloseCode.INVALID, f"invalid message: {error}") from error


def event_message(event: LiveEvent) -> EventMessage:
    return EventMessage(
        event.id, event.type, event.at, event.actor, event.ticket, event.bug_id, event.version, event.data
    )


def check_client_id(client_id: str) -> None:
    """
    Raises:
        Refused: It is no valid client id.
    """
    if _CLIENT_ID.match(client_id) is None:
        raise Refused(CloseCode.INVALID, "client_id must have 1 to 64 of A-Z a-z 0-9 . _ -")


class Schedule:
    """Deadlines of a connection, in seconds of a monotonic clock."""

    def __init__(self, now: float) -> None:
        self._auth_by: float | None = now + AUTH_SECONDS
        self._token_ends = float("inf")
        self._silent_at = now + SILENCE_SECONDS
        self._ping_at = now + HEARTBEAT_SECONDS

    @property
    def next_at(self) -> float:
        """The next deadline."""
        return min(self._auth_by or self._ping_at, self._token_ends, self._silent_at, self._ping_at)

    def received(self, now: float) -> None:
        """The client has sent a message."""
        self._silent_at = now + SILENCE_SECONDS

    def authenticated(self, token_ends: float) -> None:
        """The client has sent a token that is valid until then."""
        self._auth_by = None
        self._token_ends = token_ends

    def is_ping_due(self, now: float) -> bool:
        """Whether to ping now; if so, the next ping is due a heartbeat later.

        Raises:
            Refused: The client has not authenticated, its token has expired, or it was silent for too long.
        """
        if self._auth_by is not None and now >= self._auth_by:
            raise Refused(CloseCode.UNAUTHENTICATED, f"no auth within {AUTH_SECONDS:.0f} s")
        if now >= self._token_ends:
            raise Refused(CloseCode.UNAUTHENTICATED, "the token has expired")
        if now >= self._silent_at:
            raise Refused(CloseCode.TOO_SLOW, f"silent for {SILENCE_SECONDS:.0f} s")
        if now < self._ping_at:
            return False
        self._ping_at = now + HEARTBEAT_SECONDS
        return True
