"""The garbage collector: paused while a process imports its modules, and rare while it serves."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New objects that are still alive, between two collections of these; by default 700. A response creates a few hundred,
# nearly all of which are freed without the collector.
NEW_OBJECTS = 10_000


@contextmanager
def collector_paused() -> Iterator[None]:
    """Imports in the block are not interrupted by the garbage collector.

    They allocate much and leave next to no garbage, and looking for it takes a fifth of their time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def collect_rarely() -> None:
    """For the rest of the process, ignore all objects that exist, and look at new ones less often.

    With the defaults, a server that reads from the database spends a sixteenth of its CPU time looking for garbage.
    """
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
