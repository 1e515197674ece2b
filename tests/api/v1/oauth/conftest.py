"""A board that knows two issuers and GitHub, and browsers that go between them."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bugrelay.settings import OidcIssuer
from tests.conftest import StartApp
from tests.factories import Person
from tests.infra.security.provider import CLIENT_ID, CLIENT_SECRET, FakeGitHub, Issuer, Provider, serving
from tests.responses import TOKENS

OAUTH = "/api/v1/auth/oauth"
SITE = "http://board.example"
RETURN_TO = f"{SITE}/signed-in?next=%2Fbugs"


@dataclass
class Providers:
    sso: Issuer
    other: Issuer
    github: FakeGitHub

    def named(self, name: str) -> Provider:
        found: Provider = getattr(self, name)
        return found

    def settings(self) -> dict[str, Any]:
        issuers = [
            OidcIssuer(
                name=name, issuer=self.named(name).url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET
            )
            for name in ("sso", "other")
        ]
        return {
            "public_url": SITE,
            "cors_allow_origins": ("https://app.example:8443", "*"),
            "oauth_issuers": tuple(issuers),
            "oauth_github_url": self.github.url,
            "oauth_github_client_id": CLIENT_ID,
            "oauth_github_client_secret": CLIENT_SECRET,
        }


@pytest.fixture
async def providers() -> AsyncIterator[Providers]:
    async with serving() as one, serving() as two, serving() as three:
        yield Providers(Issuer(one), Issuer(two), FakeGitHub(three))


@pytest.fixture
async def client(start_app: StartApp, providers: Providers) -> AsyncIterator[httpx.AsyncClient]:
    async with start_app(**providers.settings()) as client:
        yield client


@dataclass
class Browser:
    """One browser, with the front end that it shows: it keeps cookies and the verifier of what it has begun."""

    client: httpx.AsyncClient
    providers: Providers
    cookies: dict[str, str] = field(default_factory=dict)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    async def get(self, url: str, **options: Any) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookie, **options.pop("headers", {})}
        response = await self.client.get(url, headers=headers, **options)
        self.client.cookies.clear()  # each browser keeps its own
        for name, value in response.cookies.items():
            self.cookies[name] = value
        return response

    async def start(self, provider: str = "sso", **changes: str) -> str:
        """Where the browser is sent to, to be asked."""
        query = {"return_to": RETURN_TO, "code_challenge": self.challenge, **changes}
        response = await self.get(f"{OAUTH}/{provider}", params=query)
        assert response.status_code == 302, response.text
        return response.headers["location"]

    async def come_back(self, url: str) -> dict[str, str]:
        """What the callback sends on to the front end."""
        return sent_on(await self.get(url))

    async def agree(self, person: dict[str, Any], provider: str = "sso") -> dict[str, str]:
        """All the way to the front end."""
        asked = await self.start(provider)
        return await self.come_back(self.providers.named(provider).authorize(asked, person))

    async def exchange(self, code: str, **changes: str) -> httpx.Response:
        body = {"code": code, "verifier": self.verifier, **changes}
        return await self.client.post(f"{OAUTH}/exchange", json=body)

    async def sign_in(self, person: dict[str, Any], provider: str = "sso") -> Person:
        back = await self.agree(person, provider)
        assert set(back) == {"next", "code"}, back
        return signed_in(await self.exchange(back["code"]))

    async def link(self, person: Person, identity: dict[str, Any], provider: str = "sso") -> httpx.Response:
        """As the front end of that person; the answer to the exchange."""
        back = await self.follow_link(person, identity, provider)
        assert "code" in back, back
        return await self.exchange(back["code"])

    async def follow_link(
        self, person: Person, identity: dict[str, Any], provider: str = "sso"
    ) -> dict[str, str]:
        response = await self.start_linking(person, provider)
        assert response.status_code == 200, response.text
        to_provider = await self.get(response.json()["authorization_url"])
        asked = to_provider.headers["location"]
        return await self.come_back(self.providers.named(provider).authorize(asked, identity))

    async def start_linking(self, person: Person, provider: str = "sso") -> httpx.Response:
        body = {"return_to": RETURN_TO, "code_challenge": self.challenge}
        return await self.client.post(f"{OAUTH}/link/{provider}", json=body, headers=person.headers)


def sent_on(response: httpx.Response) -> dict[str, str]:
    """The query of the return address; it holds nothing else that could sign somebody in."""
    assert response.status_code == 302, response.text
    location = response.headers["location"]
    assert location.startswith(f"{SITE}/signed-in?"), location
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def signed_in(response: httpx.Response) -> Person:
    assert response.status_code == 200, response.text
    told = response.json()
    assert set(told) == {"message", "user", *TOKENS}
    user = told["user"]
    return Person(user["id"], user["username"], user["email"], told["access_token"], told["refresh_token"])


@pytest.fixture
def new_browser(client: httpx.AsyncClient, providers: Providers) -> Callable[[], Browser]:
    return lambda: Browser(client, providers)


@pytest.fixture
def browser(new_browser: Callable[[], Browser]) -> Browser:
    return new_browser()
