"""What a provider of identities is to us, and how it fails.

A provider is named by the operator, in the settings, and so may stand in an internal network: unlike what users name,
its address is not held against the public ones (docs/adr/0031).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import structlog

from bugrelay.errors import BugRelayError, ServiceUnavailable

log = structlog.get_logger()


class OAuthFailed(BugRelayError):
    """The provider's answer does not hold: nobody is signed in by it."""

    code = "OAUTH_FAILED"
    status = 400
    message = "The provider's answer does not hold; sign in again"


class OAuthUnavailable(ServiceUnavailable):
    """The provider gave no usable answer in time."""

    code = "OAUTH_UNAVAILABLE"
    message = "The provider cannot be reached right now; try again shortly"


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """What one sign-in sends to its provider and expects back.

    Attributes:
        state: Comes back with the browser.
        nonce: Comes back inside the ID token.
        code_verifier: Of PKCE (RFC 7636), between us and the provider; only its hash goes through the browser.
        redirect_uri: Where the provider sends the browser; every provider has one of its own (RFC 9700, section 4.4).
    """

    state: str
    nonce: str
    code_verifier: str
    redirect_uri: str


@dataclass(frozen=True, kw_only=True)
class AuthorizationResponse:
    """What the browser brings back: the code, and the issuer where the provider names it (RFC 9207)."""

    code: str
    issuer: str | None


@dataclass(frozen=True, kw_only=True)
class ProvenIdentity:
    """Somebody, as a provider knows them. `issuer` and `subject` together are who it is; all else may change.

    Attributes:
        issuer: Whose word it is.
        subject: Never given to anybody else by this issuer.
        email: The address that the provider names.
        is_email_proven: Whether the provider says that the address is theirs, and is believed.
        username: What the provider calls them; a wish.
        display_name: Their name.
    """

    issuer: str
    subject: str
    email: str | None
    is_email_proven: bool
    username: str | None
    display_name: str | None


class IdentityProvider(Protocol):
    """Knows who somebody is. `name` is its name in addresses and settings, `issuer` that of what it proves."""

    @property
    def name(self) -> str: ...

    @property
    def issuer(self) -> str: ...

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        """Where the browser goes to be asked.

        Raises:
            OAuthUnavailable
        """

    async def identify(
        self, request: AuthorizationRequest, response: AuthorizationResponse
    ) -> ProvenIdentity:
        """Who came back, by the code; within `PROVIDER_SECONDS`.

        Raises:
            OAuthFailed, OAuthUnavailable
        """

    async def close(self) -> None:
        """Give back connections."""


def failed(provider: str, reason: str) -> OAuthFailed:
    """The error, with its reason in the log; the reason holds nothing that was received."""
    log.warning("oauth_failed", provider=provider, reason=reason)
    return OAuthFailed()


def unavailable(provider: str, reason: str) -> OAuthUnavailable:
    log.warning("oauth_unavailable", provider=provider, reason=reason)
    return OAuthUnavailable()
