"""Providers of identities on loopback: an OpenID Connect issuer with keys of its own, and GitHub.

They hold us to the protocol: a code is good once, for its redirect_uri, with the verifier of its challenge and the
client's secret. The test is the person at the browser: `authorize` is what they answer when they are asked.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID = "the board"
CLIENT_SECRET = "s3cret/+ :"


@dataclass
class Call:
    """A request that a provider got."""

    headers: dict[str, str]
    form: dict[str, str]


class Refusal(Exception):
    """The provider answers with this status."""

    def __init__(self, status: int) -> None:
        self.status = status


@dataclass
class Server:
    """HTTP on loopback. `calls` counts by path; paths in `hanging` are never answered, those in `raw` with its bytes."""

    port: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    hanging: set[str] = field(default_factory=set)
    raw: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Callable[[Call], Any]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._serve_one(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1].partition("?")[0]
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.calls[path] += 1
        if path in self.hanging:
            await reader.read()  # until whoever asked has had enough
            return
        status, content = 200, self.raw.get(path)
        if content is None:
            try:
                answer = self.answers[path](
                    Call(headers, dict(parse_qsl(body.decode(), keep_blank_values=True)))
                )
                content = json.dumps(answer).encode()
            except KeyError:
                status, content = 404, b"{}"
            except Refusal as refusal:
                status, content = refusal.status, b'{"error": "invalid_grant"}'
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
        await writer.drain()


@dataclass
class Grant:
    """What a user has granted at a provider, for a code."""

    asked: dict[str, str]
    person: dict[str, Any]


@dataclass
class Provider:
    """What an issuer and GitHub have in common. `grants` are open codes, `tokens` are access tokens."""

    server: Server
    grants: dict[str, Grant] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    names_itself: bool = False

    @property
    def url(self) -> str:
        return self.server.url

    def authorize(self, authorization_url: str, person: dict[str, Any]) -> str:
        """The person agrees: the address that the browser is sent back to."""
        asked = {name: values[-1] for name, values in parse_qs(urlsplit(authorization_url).query).items()}
        assert authorization_url.startswith(self.url)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.grants[code] = Grant(asked, person)
        issuer = {"iss": self.url} if self.names_itself else {}
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], **issuer})}"

    def redeem(self, call: Call) -> Grant:
        grant = self.grants.pop(call.form.get("code", ""), None)
        if grant is None or call.form["redirect_uri"] != grant.asked["redirect_uri"]:
            raise Refusal(400)
        digest = hashlib.sha256(call.form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != grant.asked["code_challenge"]:
            raise Refusal(400)
        return grant

    def access_token(self, person: dict[str, Any]) -> str:
        token = secrets.token_urlsafe(8)
        self.tokens[token] = person
        return token

    def person_of(self, call: Call) -> dict[str, Any]:
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            raise Refusal(401)
        return self.tokens[token]


@dataclass
class Issuer(Provider):
    """An OpenID Connect issuer. `metadata`, `claims` and `header` change what it says; a claim of None is left out."""

    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    keys: dict[str, Any] = field(default_factory=dict)
    signing_key: Any = None
    key_id: str = ""

    def __post_init__(self) -> None:
        self.rotate()
        self.server.answers |= {
            "/.well-known/openid-configuration": lambda _: self._discovery(),
            "/token": self._token,
            "/jwks": lambda _: {"keys": list(self.keys.values())},
            "/userinfo": self.person_of,
        }

    def rotate(self) -> None:
        """Another key in the place of the former."""
        self.key_id = secrets.token_hex(4)
        self.signing_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.keys = {self.key_id: self.jwk(self.signing_key, kid=self.key_id)}

    @staticmethod
    def jwk(key: Any, *, kid: str) -> dict[str, Any]:
        return {
            **jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True),
            "kid": kid,
            "use": "sig",
        }

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize?tenant=1",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "authorization_response_iss_parameter_supported": self.names_itself,
            **self.metadata,
        }

    def _token(self, call: Call) -> dict[str, Any]:
        basic = base64.b64decode(call.headers.get("authorization", "").removeprefix("Basic ")).decode()
        sent = (
            [unquote(part) for part in basic.split(":")]
            if basic
            else list(map(call.form.get, ("client_id", "client_secret")))
        )
        if sent != [CLIENT_ID, CLIENT_SECRET]:
            raise Refusal(401)
        grant = self.redeem(call)
        return {
            "access_token": self.access_token(grant.person),
            "token_type": "Bearer",
            "id_token": self.id_token(grant.asked["nonce"], grant.person),
        }

    def id_token(self, nonce: str, person: dict[str, Any]) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce, **person}
        kept = {name: value for name, value in (claims | self.claims).items() if value is not None}
        header = {"kid": self.key_id, **self.header}
        kept_header = {name: value for name, value in header.items() if value is not None}
        # The payload by hand: a library may refuse to write what we must refuse to read.
        payload = json.dumps(kept).encode()
        return jwt.PyJWS().encode(payload, self.signing_key, algorithm=self.algorithm, headers=kept_header)


@dataclass
class FakeGitHub(Provider):
    """GitHub Enterprise Server, as far as we ask it. A person has `id`, `login`, `name` and `emails`."""

    def __post_init__(self) -> None:
        self.server.answers |= {
            "/login/oauth/access_token": self._token,
            "/api/v3/user": lambda call: {
                name: value for name, value in self.person_of(call).items() if name != "emails"
            },
            "/api/v3/user/emails": lambda call: self.person_of(call)["emails"],
        }

    def _token(self, call: Call) -> dict[str, Any]:
        assert [call.form["client_id"], call.form["client_secret"]] == [CLIENT_ID, CLIENT_SECRET]
        assert call.headers["accept"] == "application/json"
        try:
            grant = self.redeem(call)
        except Refusal:
            return {"error": "bad_verification_code"}  # with 200, as GitHub does
        return {"access_token": self.access_token(grant.person), "token_type": "bearer"}


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def somebody(subject: str = "s-1", **claims: Any) -> dict[str, Any]:
    """A person at an issuer, with a proven address of their own."""
    return {
        "sub": subject,
        "email": f"{subject}@people.example",
        "email_verified": True,
        "preferred_username": f"name-{subject}",
        **claims,
    }
