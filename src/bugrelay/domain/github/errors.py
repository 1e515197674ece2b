"""What can go wrong with GitHub."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class GitHubNotConnected(BugRelayError):
    code = "GITHUB_NOT_CONNECTED"
    status = 404
    message = "The company is not connected to GitHub"


class GitHubSwitchedOff(BugRelayError):
    code = "GITHUB_SWITCHED_OFF"
    status = 409
    message = "The company's connection to GitHub is switched off"


class InvalidSignature(BugRelayError):
    """Also where there is no such connection, which is told to nobody."""

    code = "INVALID_SIGNATURE"
    status = 401
    message = "The signature is not that of this body"


class Refused(Exception):
    """GitHub will not do it, however often it is asked; the text is a sentence of ours and holds nothing of its answer.

    Attributes:
        is_unauthorized: Whether the token is no good for anything.
    """

    def __init__(self, sentence: str, *, is_unauthorized: bool = False) -> None:
        super().__init__(sentence)
        self.is_unauthorized = is_unauthorized


class Unavailable(Exception):
    """GitHub did not answer, or that it cannot now. Whether it did what it was asked for is not known."""


class Unreached(Unavailable):
    """There was no connection to GitHub, so it was asked for nothing."""


class Limited(Exception):
    """GitHub wants to be left alone with this token.

    Attributes:
        seconds: For how long; None where it does not say.
    """

    def __init__(self, seconds: float | None) -> None:
        super().__init__("GitHub limits the token")
        self.seconds = seconds


class LeaseLost(Exception):
    """Somebody else calls with the token by now; nothing more may be sent."""
