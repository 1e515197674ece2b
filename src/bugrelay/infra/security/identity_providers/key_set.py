"""The keys of an issuer (JWK set), cached for an hour, and fetched again if a token names an unknown key."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from bugrelay.infra.security.identity_providers.provider_client import ProviderClient

KEPT_SECONDS = 3600.0
MIN_SECONDS_BETWEEN_REFRESHES = 30.0  # so that tokens with unknown keys cannot cause more calls
MAX_KEYS = 100

Jwk = dict[str, Any]


class _JwkSet(msgspec.Struct):
    """RFC 7517, section 5."""

    keys: list[Jwk]


class KeySet:
    """The keys of one issuer."""

    def __init__(self, client: ProviderClient) -> None:
        self._client = client
        self._keys: list[Jwk] = []
        self._fetched_at = self._refreshed_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, url: str, key_id: str | None) -> Jwk | None:
        """The key with that id; without an id, the only key. None if there is no such key, or more than one.

        Raises:
            OAuthUnavailable
        """
        async with self._fetching:
            if time.monotonic() - self._fetched_at > KEPT_SECONDS:
                await self._fetch(url)
            found = self._named(key_id)
            if found is None and time.monotonic() - self._refreshed_at > MIN_SECONDS_BETWEEN_REFRESHES:
                self._refreshed_at = time.monotonic()
                await self._fetch(url)
                found = self._named(key_id)
            return found

    async def _fetch(self, url: str) -> None:
        answer = await self._client.get(url, _JwkSet)
        # Encryption keys do not verify signatures.
        self._keys = [key for key in answer.keys[:MAX_KEYS] if key.get("use", "sig") == "sig"]
        self._fetched_at = time.monotonic()

    def _named(self, key_id: str | None) -> Jwk | None:
        fitting = [key for key in self._keys if key_id is None or key.get("kid") == key_id]
        return fitting[0] if len(fitting) == 1 else None
