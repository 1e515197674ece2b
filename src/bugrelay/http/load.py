"""What a process is busy with, and how much that may be."""

from __future__ import annotations

from dataclasses import dataclass

BODY_BYTES_HELD = 256 * 1024 * 1024  # by all requests of a process together
RESPONSE_BYTES_HELD = 256 * 1024 * 1024  # by all clients of a process that have yet to read them
OVERLOADED = "BugRelay is overloaded; try again shortly"


@dataclass
class Load:
    """What this process is busy with.

    A request that waits for its body, or for its client to read the response, keeps us busy only by the bytes held.
    """

    requests: int = 0
    body_bytes: int = 0
    response_bytes: int = 0

    @property
    def is_sending_too_much(self) -> bool:
        """Whether clients that do not read hold as much of their responses as we can bear."""
        return self.response_bytes > RESPONSE_BYTES_HELD

    def sending(self, held_bytes: int) -> Sending:
        """While a response of this size waits for its client to read."""
        return Sending(self, held_bytes)


class Sending:
    """A class, because a generator as context manager costs four times as much, and every response needs one."""

    __slots__ = ("_held_bytes", "_load")

    def __init__(self, load: Load, held_bytes: int) -> None:
        self._load = load
        self._held_bytes = held_bytes

    def __enter__(self) -> None:
        self._load.response_bytes += self._held_bytes

    def __exit__(self, *_: object) -> None:
        self._load.response_bytes -= self._held_bytes
