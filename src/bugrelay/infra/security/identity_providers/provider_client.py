"""Calls to one provider: limited in number, time and size; no redirects are followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from bugrelay.infra.imports import Deferred
from bugrelay.infra.security.identity_providers.port import failed, unavailable

if TYPE_CHECKING:
    import httpx
else:
    httpx = Deferred("httpx")

PROVIDER_SECONDS = 4.0  # for all calls of one request; the response has to follow within 5.5 s
MAX_ANSWER_BYTES = 256 * 1024
_MAX_CALLS = 20

T = TypeVar("T")


class ProviderClient:
    """HTTP to one provider; each has limits of its own, so a slow provider does not block others."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._calls = asyncio.Semaphore(_MAX_CALLS)
        self._client = httpx.AsyncClient(
            timeout=PROVIDER_SECONDS,
            follow_redirects=False,
            # Uncompressed, so that the limit of the response's size is also that of the decoded content.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "BugRelay"},
            limits=httpx.Limits(max_connections=_MAX_CALLS * 2, max_keepalive_connections=5),
        )

    @asynccontextmanager
    async def within_deadline(self) -> AsyncIterator[None]:
        """One deadline of `PROVIDER_SECONDS` for all calls in the block, with the wait for a free slot.

        Raises:
            OAuthUnavailable
        """
        try:
            async with asyncio.timeout(PROVIDER_SECONDS), self._calls:
                yield
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise unavailable(self._provider, type(error).__name__) from error

    async def get(self, url: str, kind: type[T], *, token: str | None = None) -> T:
        """The JSON at the address, decoded as `kind`.

        Raises:
            OAuthUnavailable
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        status, body = await self._send("GET", url, headers=headers)
        if status != httpx.codes.OK:
            raise unavailable(self._provider, f"answered {status}")
        return self._decoded(body, kind)

    async def post_form(
        self, url: str, form: Mapping[str, str], kind: type[T], *, auth: tuple[str, str] | None = None
    ) -> T:
        """The JSON response to a form, decoded as `kind`.

        Raises:
            OAuthFailed: The provider refuses it.
            OAuthUnavailable
        """
        options: dict[str, Any] = {"data": dict(form)}
        if auth is not None:
            options["auth"] = httpx.BasicAuth(*auth)
        status, body = await self._send("POST", url, **options)
        if status in (httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise failed(self._provider, f"the token endpoint answered {status}")
        if status != httpx.codes.OK:
            raise unavailable(self._provider, f"answered {status}")
        return self._decoded(body, kind)

    async def _send(self, method: str, url: str, **options: Any) -> tuple[int, bytes]:
        body = bytearray()
        async with self._client.stream(method, url, **options) as response:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise unavailable(self._provider, "answer is too long")
        return response.status_code, bytes(body)

    def _decoded(self, body: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise unavailable(self._provider, "answer is not the JSON that was asked for") from error

    async def close(self) -> None:
        await self._client.aclose()
