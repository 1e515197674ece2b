"""Errors of live updates."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class CursorExpired(BugRelayError):
    """The position is older than the events that are kept. `facts` has the current `head`."""

    code = "CURSOR_EXPIRED"
    status = 410
    message = (
        "The events after this position are no longer available; reload your state and continue from `head`"
    )


class TooManyStreams(BugRelayError):
    code = "TOO_MANY_STREAMS"
    status = 429
    message = "Too many live connections are open; close one of them first"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "5"})
