"""Limits in seconds, on a machine that others use as well."""

from __future__ import annotations

import time

SAMPLE_SECONDS = 0.1  # of processor time


def patient(seconds: float) -> float:
    """The limit, widened by how long a computation takes at this moment to how long it takes alone.

    A limit of the contract holds for a machine that is not starved. What a service needs grows with what other
    processes take from it, and so does the sample: wall clock by processor time, measured in the same run.
    """
    began, until = time.monotonic(), time.thread_time() + SAMPLE_SECONDS
    while time.thread_time() < until:
        pass
    return seconds * max(1.0, (time.monotonic() - began) / SAMPLE_SECONDS)
