"""The port of identity providers, and its errors.

Providers are configured by the operator, and may be in an internal network: unlike hosts that users name, their
addresses need not be public (docs/adr/0031).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import structlog

from bugrelay.errors import BugRelayError, ServiceUnavailable

log = structlog.get_logger()


class OAuthFailed(BugRelayError):
    """The provider's response is not valid, so nobody is signed in."""

    code = "OAUTH_FAILED"
    status = 400
    message = "The provider's response is invalid; sign in again"


class OAuthUnavailable(ServiceUnavailable):
    """The provider gave no usable response in time."""

    code = "OAUTH_UNAVAILABLE"
    message = "The provider cannot be reached right now; try again shortly"


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """The authorisation request of one sign-in.

    Attributes:
        state: Returned with the browser.
        nonce: Returned inside the ID token.
        code_verifier: The PKCE verifier between us and the provider (RFC 7636); the browser sees only its hash.
        redirect_uri: Where the provider sends the browser; each provider has its own (RFC 9700, section 4.4).
    """

    state: str
    nonce: str
    code_verifier: str
    redirect_uri: str


@dataclass(frozen=True, kw_only=True)
class AuthorizationResponse:
    """The authorisation response: the code, and the issuer if the provider names it (RFC 9207)."""

    code: str
    issuer: str | None


@dataclass(frozen=True, kw_only=True)
class ProvenIdentity:
    """An identity at a provider. `issuer` and `subject` identify it; everything else may change.

    Attributes:
        issuer: The issuer.
        subject: The subject, which the issuer never reassigns.
        email: The address that the provider names.
        is_email_proven: Whether the provider has verified the address, and the settings trust it in that.
        username: The username at the provider, as a suggestion.
        display_name: The name at the provider.
    """

    issuer: str
    subject: str
    email: str | None
    is_email_proven: bool
    username: str | None
    display_name: str | None


class IdentityProvider(Protocol):
    """Identifies users. `name` is its name in addresses and settings, `issuer` that of its identities."""

    @property
    def name(self) -> str: ...

    @property
    def issuer(self) -> str: ...

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        """The address to which the browser is sent to sign in.

        Raises:
            OAuthUnavailable
        """

    async def identify(
        self, request: AuthorizationRequest, response: AuthorizationResponse
    ) -> ProvenIdentity:
        """The identity of the user who returned, by the code; within `PROVIDER_SECONDS`.

        Raises:
            OAuthFailed, OAuthUnavailable
        """

    async def close(self) -> None:
        """Close connections."""


def failed(provider: str, reason: str) -> OAuthFailed:
    """Log the reason, which must have nothing that was received, and return the error."""
    log.warning("oauth_failed", provider=provider, reason=reason)
    return OAuthFailed()


def unavailable(provider: str, reason: str) -> OAuthUnavailable:
    log.warning("oauth_unavailable", provider=provider, reason=reason)
    return OAuthUnavailable()
