"""What is said on the WebSocket: messages of both sides, and when what is due. It does no I/O and asks no clock."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, TypeAlias
from uuid import UUID

import msgspec

from bugrelay.domain.live.schemas import LiveActor, LiveEvent, LiveTicket
from bugrelay.http.websocket import CloseCode, Refused

AUTH_SECONDS = 5.0  # for a client that has sent no Authorization with its handshake
HEARTBEAT_SECONDS = 25
SILENCE_SECONDS = 60.0  # for a client to say something, if only `pong`
MAX_REQUESTS, REQUEST_SECONDS = 30, 60.0  # `auth` and `subscribe`, which ask the database

_FEW = msgspec.Meta(max_length=50)
_CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class Auth(msgspec.Struct, tag_field="type", tag="auth"):
    """Who asks, and in which company: first, and again before the token ends.

    Attributes:
        token: An access token.
        company: By its id or domain; need not be named by who belongs to one only.
    """

    token: str
    company: str | None = None


class Subscribe(msgspec.Struct, tag_field="type", tag="subscribe"):
    """Which events to send; what is left out, null or empty leaves none out.

    Attributes:
        since: Those behind this number; from now on, or going on, where it is left out.
        projects: Of these projects.
        tickets: Of these tickets, by id or key.
        types: Of these types.
    """

    since: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    projects: Annotated[list[UUID], _FEW] | None = None
    tickets: Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], _FEW] | None = None
    types: Annotated[list[str], _FEW] | None = None


class Pong(msgspec.Struct, tag_field="type", tag="pong"):
    """The client is there."""


ClientMessage: TypeAlias = Auth | Subscribe | Pong


class Hello(msgspec.Struct, tag_field="type", tag="hello"):
    """The token holds.

    Attributes:
        head: The number of the newest event of the company.
        heartbeat_seconds: Between two pings.
    """

    head: int
    heartbeat_seconds: int = HEARTBEAT_SECONDS


class ResyncNeeded(msgspec.Struct, tag_field="type", tag="resync"):
    """Too much or too old was missed: what is shown is to be loaded anew. Events behind `head` follow."""

    head: int


class EventMessage(msgspec.Struct, tag_field="type", tag="event"):
    """An event as `GET /api/v1/events` shows it; what is `type` there is `event` here."""

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
        Refused: It is none of those that there are.
    """
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(CloseCode.NOT_UNDERSTOOD, f"not understood: {error}") from error


def event_message(event: LiveEvent) -> EventMessage:
    return EventMessage(
        event.id, event.type, event.at, event.actor, event.ticket, event.bug_id, event.version, event.data
    )


def check_client_id(client_id: str) -> None:
    """
    Raises:
        Refused: It is no name of a client.
    """
    if _CLIENT_ID.match(client_id) is None:
        raise Refused(CloseCode.NOT_UNDERSTOOD, "client_id has 1 to 64 of A-Z a-z 0-9 . _ -")


class Schedule:
    """What is due on a connection, in seconds of a clock that never goes back."""

    def __init__(self, now: float) -> None:
        self._auth_by: float | None = now + AUTH_SECONDS
        self._token_ends = float("inf")
        self._silent_at = now + SILENCE_SECONDS
        self._ping_at = now + HEARTBEAT_SECONDS

    @property
    def next_at(self) -> float:
        """When something is due next."""
        return min(self._auth_by or self._ping_at, self._token_ends, self._silent_at, self._ping_at)

    def heard(self, now: float) -> None:
        """The client has said something."""
        self._silent_at = now + SILENCE_SECONDS

    def signed_in(self, token_ends: float) -> None:
        """The client has shown a token that holds until then."""
        self._auth_by = None
        self._token_ends = token_ends

    def is_ping_due(self, now: float) -> bool:
        """Whether to ping now; the next is due a heartbeat later.

        Raises:
            Refused: The client has not signed in, its token has ended, or it was silent for too long.
        """
        if self._auth_by is not None and now >= self._auth_by:
            raise Refused(CloseCode.UNAUTHENTICATED, f"no auth within {AUTH_SECONDS:.0f} s")
        if now >= self._token_ends:
            raise Refused(CloseCode.UNAUTHENTICATED, "the token has ended")
        if now >= self._silent_at:
            raise Refused(CloseCode.TOO_SLOW, f"silent for {SILENCE_SECONDS:.0f} s")
        if now < self._ping_at:
            return False
        self._ping_at = now + HEARTBEAT_SECONDS
        return True
