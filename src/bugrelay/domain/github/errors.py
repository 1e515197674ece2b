"""Errors of GitHub: those of our API, and those of calls to GitHub's."""

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
    """Also where there is no such connection, so that nobody can find out which exist."""

    code = "INVALID_SIGNATURE"
    status = 401
    message = "The signature does not match the body"


class Refused(Exception):
    """GitHub refuses the call, and a retry would not help. The message is our own and has nothing of GitHub's response.

    Attributes:
        is_unauthorized: Whether GitHub refuses the token itself.
    """

    def __init__(self, sentence: str, *, is_unauthorized: bool = False) -> None:
        super().__init__(sentence)
        self.is_unauthorized = is_unauthorized


class Unavailable(Exception):
    """GitHub did not respond, or with a server error. Whether the call took effect is not known."""


class Unreached(Unavailable):
    """There was no connection to GitHub, so it was asked for nothing."""


class Limited(Exception):
    """GitHub limits the rate of calls with this token.

    Attributes:
        seconds: The pause that it asks for; None where it does not say.
    """

    def __init__(self, seconds: float | None) -> None:
        super().__init__("GitHub limits the token")
        self.seconds = seconds


class LeaseLost(Exception):
    """The lease of the token has expired, and another worker may have it; nothing more may be sent."""
