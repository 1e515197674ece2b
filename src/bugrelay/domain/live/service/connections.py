"""How many live connections a process has: streams and sockets in one count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bugrelay.domain.live.errors import TooManyStreams
from bugrelay.errors import ServiceUnavailable

MAX_OF_USER = 10
RETRY_AFTER_SECONDS = 10


class Connections:
    """Of one process.

    Args:
        most: All of them.
        most_of_address: Those from one client address without a user.
    """

    def __init__(self, *, most: int, most_of_address: int) -> None:
        self.count = 0
        self._most = most
        self._most_of_address = most_of_address
        self._counts: Counter[str] = Counter()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a connection for the length of the block.

        Raises:
            ServiceUnavailable: There are as many as there may be.
        """
        if self.count >= self._most:
            raise ServiceUnavailable(
                "Too many live connections; try again shortly", retry_after_seconds=RETRY_AFTER_SECONDS
            )
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1

    @contextmanager
    def of_user(self, user_id: object) -> Iterator[None]:
        """Count one of a user's for the length of the block.

        Raises:
            TooManyStreams: They have ten.
        """
        with self._of(f"user:{user_id}", MAX_OF_USER):
            yield

    @contextmanager
    def of_address(self, identity: str) -> Iterator[None]:
        """Count one from a client address, as rate limits count them, for the length of the block.

        Raises:
            TooManyStreams
        """
        with self._of(f"address:{identity}", self._most_of_address):
            yield

    @contextmanager
    def _of(self, name: str, most: int) -> Iterator[None]:
        if self._counts[name] >= most:
            raise TooManyStreams
        self._counts[name] += 1
        try:
            yield
        finally:
            self._counts[name] -= 1
            if not self._counts[name]:
                del self._counts[name]
