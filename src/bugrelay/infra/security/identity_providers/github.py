"""GitHub, which has OAuth 2.0 but no ID tokens: the identity comes from its API.

https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import msgspec

from bugrelay.infra.security.identity_providers.openid_connect import s256
from bugrelay.infra.security.identity_providers.port import (
    AuthorizationRequest,
    AuthorizationResponse,
    ProvenIdentity,
    failed,
)
from bugrelay.infra.security.identity_providers.provider_client import ProviderClient

GITHUB = "https://github.com"
_API = "https://api.github.com"
_SCOPE = "read:user user:email"


class _Token(msgspec.Struct):
    """GitHub responds with 200 and an `error` if a code is not valid."""

    access_token: str | None = None


class _User(msgspec.Struct):
    id: int
    login: str
    name: str | None = None


class _Email(msgspec.Struct):
    email: str
    primary: bool
    verified: bool


class GitHub:
    """github.com, or a GitHub Enterprise Server at another address."""

    def __init__(self, *, url: str, client_id: str, client_secret: str) -> None:
        self._url = url.rstrip("/")
        self._api = _API if self._url == GITHUB else f"{self._url}/api/v3"
        self._client_id = client_id
        self._client_secret = client_secret
        self._client = ProviderClient(self.name)

    @property
    def name(self) -> str:
        return "github"

    @property
    def issuer(self) -> str:
        return self._url

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        parameters = {
            "response_type": "code",
            "scope": _SCOPE,
            "client_id": self._client_id,
            "redirect_uri": request.redirect_uri,
            "state": request.state,
            "code_challenge": s256(request.code_verifier),
            "code_challenge_method": "S256",
        }
        return f"{self._url}/login/oauth/authorize?{urlencode(parameters)}"

    async def identify(
        self, request: AuthorizationRequest, response: AuthorizationResponse
    ) -> ProvenIdentity:
        if response.issuer not in (None, self._url, f"{self._url}/login/oauth"):
            raise failed(self.name, "the response is of another issuer")
        async with self._client.within_deadline():
            token = await self._redeem(request, code=response.code)
            user, emails = await asyncio.gather(
                self._client.get(f"{self._api}/user", _User, token=token),
                self._client.get(f"{self._api}/user/emails?per_page=100", list[_Email], token=token),
            )
        primary = next((email for email in emails if email.primary), None)
        return ProvenIdentity(
            issuer=self.issuer,
            subject=str(user.id),  # a login can be given up and taken by somebody else
            email=primary.email if primary else None,
            is_email_proven=primary is not None and primary.verified,
            username=user.login,
            display_name=user.name,
        )

    async def close(self) -> None:
        await self._client.close()

    async def _redeem(self, request: AuthorizationRequest, *, code: str) -> str:
        form = {
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "code": code,
            "redirect_uri": request.redirect_uri,
            "code_verifier": request.code_verifier,
        }
        answer = await self._client.post_form(f"{self._url}/login/oauth/access_token", form, _Token)
        if not answer.access_token:
            raise failed(self.name, "the code was refused")
        return answer.access_token
