"""Limits in seconds, on a machine that others use as well."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

SAMPLE_SECONDS = 0.1  # of processor time
REPEATING_SECONDS = 60.0
PAUSE_SECONDS = 1.5  # for which a machine may pause at any moment; to be added to a limit of the contract

T = TypeVar("T")


async def undisturbed(attempt: Callable[[], Awaitable[T]], *, seconds: float) -> T:
    """The result of an attempt that was not disturbed by a pause of the machine.

    For what holds for a moment only, such as an entry of a cache until it expires. An attempt that failed and took
    `seconds` or longer has shown nothing, and is repeated; so it must begin with something new each time. The failure
    of an attempt that took less is raised, and so is that of every attempt after a minute.
    """
    until = time.monotonic() + REPEATING_SECONDS
    while True:
        began = time.monotonic()
        try:
            return await attempt()
        except Exception:
            now = time.monotonic()
            if now - began < seconds or now > until:
                raise


def patient(seconds: float) -> float:
    """The limit, widened by how long a computation takes at this moment to how long it takes alone.

    A limit of the contract holds for a machine that is not starved. What a service needs grows with what other
    processes take from it, and so does the sample: wall clock by processor time, measured in the same run.
    """
    began, until = time.monotonic(), time.thread_time() + SAMPLE_SECONDS
    while time.thread_time() < until:
        pass
    return seconds * max(1.0, (time.monotonic() - began) / SAMPLE_SECONDS)
