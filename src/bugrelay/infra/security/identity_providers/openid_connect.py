"""An OpenID Connect issuer: discovery, the code flow with PKCE, the ID token.

OpenID Connect Core 1.0 and Discovery 1.0; RFC 7636 (PKCE), RFC 9207 (the issuer in the response), RFC 9700.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from bugrelay.infra.security.identity_providers.id_tokens import InvalidIdToken, read_header, verify
from bugrelay.infra.security.identity_providers.key_set import KeySet
from bugrelay.infra.security.identity_providers.port import (
    AuthorizationRequest,
    AuthorizationResponse,
    ProvenIdentity,
    failed,
    unavailable,
)
from bugrelay.infra.security.identity_providers.provider_client import ProviderClient
from bugrelay.settings import OidcIssuer

METADATA_SECONDS = 3600.0  # for which a discovery document is cached
_SCOPE = "openid email profile"


class _Metadata(msgspec.Struct):
    """The used fields of a discovery document (OpenID Connect Discovery 1.0, section 3; RFC 9207, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    id_token_signing_alg_values_supported: list[str] = msgspec.field(default_factory=lambda: ["RS256"])
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(
        default_factory=lambda: ["client_secret_basic"]
    )
    authorization_response_iss_parameter_supported: bool = False


class _Tokens(msgspec.Struct):
    """A token response (OpenID Connect Core 1.0, section 3.1.3.3)."""

    id_token: str
    access_token: str | None = None


class OpenIdConnect:
    """One issuer of the settings."""

    def __init__(self, issuer: OidcIssuer) -> None:
        self._issuer = issuer
        self._client = ProviderClient(issuer.name)
        self._keys = KeySet(self._client)
        self._metadata: _Metadata | None = None
        self._metadata_until = float("-inf")
        self._discovering = asyncio.Lock()

    @property
    def name(self) -> str:
        return self._issuer.name

    @property
    def issuer(self) -> str:
        return self._issuer.issuer

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        async with self._client.within_deadline():
            metadata = await self._discover()
        parameters = {
            "response_type": "code",
            "scope": _SCOPE,
            "client_id": self._issuer.client_id,
            "redirect_uri": request.redirect_uri,
            "state": request.state,
            "nonce": request.nonce,
            "code_challenge": s256(request.code_verifier),
            "code_challenge_method": "S256",
        }
        joiner = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        return f"{metadata.authorization_endpoint}{joiner}{urlencode(parameters)}"

    async def identify(
        self, request: AuthorizationRequest, response: AuthorizationResponse
    ) -> ProvenIdentity:
        async with self._client.within_deadline():
            metadata = await self._discover()
            self._check_response_issuer(metadata, response.issuer)
            tokens = await self._redeem(metadata, request, code=response.code)
            claims = await self._verified(metadata, tokens.id_token, nonce=request.nonce)
            if "email" not in claims and tokens.access_token and metadata.userinfo_endpoint:
                claims = await self._with_userinfo(metadata.userinfo_endpoint, claims, tokens.access_token)
        return self._identity(claims)

    async def close(self) -> None:
        await self._client.close()

    async def _discover(self) -> _Metadata:
        async with self._discovering:
            if self._metadata is None or time.monotonic() > self._metadata_until:
                well_known = f"{self._issuer.issuer.rstrip('/')}/.well-known/openid-configuration"
                self._metadata = self._checked(await self._client.get(well_known, _Metadata))
                self._metadata_until = time.monotonic() + METADATA_SECONDS
            return self._metadata

    def _checked(self, metadata: _Metadata) -> _Metadata:
        """Check that the issuer is that of the settings, and that no endpoint has a weaker scheme than the issuer."""
        if metadata.issuer != self._issuer.issuer:
            raise unavailable(self.name, "the discovery document is of another issuer")
        scheme = urlsplit(self._issuer.issuer).scheme
        for address in (
            metadata.authorization_endpoint,
            metadata.token_endpoint,
            metadata.jwks_uri,
            metadata.userinfo_endpoint,
        ):
            if address is not None and not is_usable_address(address, scheme):
                raise unavailable(self.name, "the discovery document has an address that cannot be used")
        return metadata

    def _check_response_issuer(self, metadata: _Metadata, named: str | None) -> None:
        """RFC 9207, section 2.4: a response of another issuer is a mix-up."""
        if named is None and not metadata.authorization_response_iss_parameter_supported:
            return
        if named != self._issuer.issuer:
            raise failed(self.name, "the response is of another issuer")

    async def _redeem(self, metadata: _Metadata, request: AuthorizationRequest, *, code: str) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": request.redirect_uri,
            "code_verifier": request.code_verifier,
        }
        auth = None
        if self._issuer.client_secret and self._takes_basic(metadata):
            # RFC 6749, section 2.3.1: both are form-encoded first.
            auth = (quote(self._issuer.client_id, safe=""), quote(self._issuer.client_secret, safe=""))
        else:
            form["client_id"] = self._issuer.client_id
            if self._issuer.client_secret:
                form["client_secret"] = self._issuer.client_secret
        return await self._client.post_form(metadata.token_endpoint, form, _Tokens, auth=auth)

    @staticmethod
    def _takes_basic(metadata: _Metadata) -> bool:
        methods = metadata.token_endpoint_auth_methods_supported
        return "client_secret_basic" in methods or "client_secret_post" not in methods

    async def _verified(self, metadata: _Metadata, token: str, *, nonce: str) -> dict[str, Any]:
        try:
            algorithm, key_id = read_header(token, supported=metadata.id_token_signing_alg_values_supported)
            return verify(
                token,
                await self._keys.find(metadata.jwks_uri, key_id),
                algorithm=algorithm,
                issuer=self._issuer.issuer,
                client_id=self._issuer.client_id,
                nonce=nonce,
            )
        except InvalidIdToken as error:
            raise failed(self.name, str(error)) from error

    async def _with_userinfo(
        self, endpoint: str, claims: dict[str, Any], access_token: str
    ) -> dict[str, Any]:
        """The claims with those of the userinfo endpoint, if its subject is the same (Core, section 5.3.2)."""
        more = await self._client.get(endpoint, dict[str, Any], token=access_token)
        if more.get("sub") != claims["sub"]:
            raise failed(self.name, "the userinfo is of another subject")
        # The address and `email_verified` must come from the same response: the token's may be about another address.
        return more | claims | {name: more.get(name) for name in ("email", "email_verified")}

    def _identity(self, claims: dict[str, Any]) -> ProvenIdentity:
        return ProvenIdentity(
            issuer=self.issuer,
            subject=claims["sub"],
            email=_text(claims.get("email")),
            is_email_proven=self._issuer.trust_email and _is_true(claims.get("email_verified")),
            username=_text(claims.get("preferred_username")),
            display_name=_text(claims.get("name")),
        )


def s256(code_verifier: str) -> str:
    """The code challenge of a verifier (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(code_verifier.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_usable_address(url: str, scheme: str) -> bool:
    """Whether the URL can be called and put into a header, and its scheme is https or that of the issuer."""
    if "#" in url or not all("!" <= character <= "~" for character in url):
        return False
    try:
        parts = urlsplit(url)
        host, user = parts.hostname, parts.username
        return bool(host) and user is None and parts.port != 0 and parts.scheme in ("https", scheme)
    except ValueError:
        return False


def _is_true(value: object) -> bool:
    """Whether a claim is true; some issuers send booleans as strings."""
    return value is True or value == "true"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
