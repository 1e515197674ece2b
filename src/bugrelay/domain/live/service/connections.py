"""Limits of the live connections of a process: streams and WebSockets together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bugrelay.domain.live.errors import TooManyStreams
from bugrelay.errors import ServiceUnavailable

MAX_OF_USER = 10
RETRY_AFTER_SECONDS = 10


class Connections:
    """The open connections of one process, counted against limits.

    Args:
        max_total: Limit for all.
        max_of_address: Limit for those of one client address that are not authenticated.
    """

    def __init__(self, *, max_total: int, max_of_address: int) -> None:
        self.count = 0
        self._max_total = max_total
        self._max_of_address = max_of_address
        self._counts: Counter[str] = Counter()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Count a connection for the length of the block.

        Raises:
            ServiceUnavailable: The process has as many as it may have.
        """
        if self.count >= self._max_total:
            raise ServiceUnavailable(
                "Too many live connections; try again shortly", retry_after_seconds=RETRY_AFTER_SECONDS
            )
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1

    @contextmanager
    def user_slot(self, user_id: object) -> Iterator[None]:
        """Count a connection of a user for the length of the block.

        Raises:
            TooManyStreams: The user has `MAX_OF_USER`.
        """
        with self._slot(f"user:{user_id}", MAX_OF_USER):
            yield

    @contextmanager
    def address_slot(self, identity: str) -> Iterator[None]:
        """Count a connection of a client address, grouped as for rate limits, for the length of the block.

        Raises:
            TooManyStreams
        """
        with self._slot(f"address:{identity}", self._max_of_address):
            yield

    @contextmanager
    def _slot(self, key: str, limit: int) -> Iterator[None]:
        if self._counts[key] >= limit:
            raise TooManyStreams
        self._counts[key] += 1
        try:
            yield
        finally:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]
