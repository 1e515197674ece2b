"""What can go wrong with live updates."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class CursorExpired(BugRelayError):
    """What was missed is too old to be told one by one. `facts` have the `head` to go on from."""

    code = "CURSOR_EXPIRED"
    status = 410
    message = "The events after this point are no longer told; load what you show anew, and go on from `head`"


class TooManyStreams(BugRelayError):
    code = "TOO_MANY_STREAMS"
    status = 429
    message = "Too many live connections are open; close one first"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "5"})
