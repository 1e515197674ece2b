"""The keys of an issuer, kept for an hour, and asked for again when a token names one that is not among them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from bugrelay.infra.security.identity_providers.provider_client import ProviderClient

KEPT_SECONDS = 3600.0
MIN_SECONDS_BETWEEN_REFRESHES = 30.0  # for keys that are unknown: nobody makes us ask more often
MAX_KEYS = 100

Jwk = dict[str, Any]


class _JwkSet(msgspec.Struct):
    """RFC 7517, section 5."""

    keys: list[Jwk]


class KeySet:
    """Of one issuer."""

    def __init__(self, client: ProviderClient) -> None:
        self._client = client
        self._keys: list[Jwk] = []
        self._fetched_at = self._refreshed_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, url: str, key_id: str | None) -> Jwk | None:
        """The key of that id; without an id the only key there is. None where it is not there, or one of several.

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
        # Keys to encrypt with verify nothing.
        self._keys = [key for key in answer.keys[:MAX_KEYS] if key.get("use", "sig") == "sig"]
        self._fetched_at = time.monotonic()

    def _named(self, key_id: str | None) -> Jwk | None:
        fitting = [key for key in self._keys if key_id is None or key.get("kid") == key_id]
        return fitting[0] if len(fitting) == 1 else None
