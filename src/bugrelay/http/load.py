"""The load of a process: requests in flight, and bytes in memory for them."""

from __future__ import annotations

from dataclasses import dataclass

BODY_BYTES_HELD = 256 * 1024 * 1024  # of all requests of a process together
RESPONSE_BYTES_HELD = 256 * 1024 * 1024  # of all responses of a process that clients have not read yet
OVERLOADED = "BugRelay is overloaded; try again shortly"


@dataclass
class Load:
    """The load of this process.

    A request that waits for its body, or for its client to read the response, counts only by its bytes in memory.
    """

    requests: int = 0
    body_bytes: int = 0
    response_bytes: int = 0

    @property
    def is_sending_too_much(self) -> bool:
        """Whether unread responses take more memory than allowed."""
        return self.response_bytes > RESPONSE_BYTES_HELD

    def sending(self, held_bytes: int) -> Sending:
        """A context in which a response of this size counts as unread."""
        return Sending(self, held_bytes)


class Sending:
    """Counts an unread response. A class, since a generator as context manager costs four times as much, and every
    response needs one."""

    __slots__ = ("_held_bytes", "_load")

    def __init__(self, load: Load, held_bytes: int) -> None:
        self._load = load
        self._held_bytes = held_bytes

    def __enter__(self) -> None:
        self._load.response_bytes += self._held_bytes

    def __exit__(self, *_: object) -> None:
        self._load.response_bytes -= self._held_bytes
