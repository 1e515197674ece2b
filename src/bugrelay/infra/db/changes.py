"""Whether anything at all was written to the database meanwhile.

A snapshot says which transactions have ended. Where two of them are equal, whoever read between them saw the same
database as somebody who reads now.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sqlalchemy import text

from bugrelay.errors import BugRelayError
from bugrelay.infra.db.query import Query, Reader

LOOK_SECONDS = 0.2

_SNAPSHOT = Query(text("SELECT pg_current_snapshot()::text"), str)


class ChangeDetector:
    """Looks at the database every now and then, as long as somebody asks it to."""

    def __init__(self, reader: Reader, on_unchanged: Callable[[float, float], None]) -> None:
        """
        Args:
            reader: The primary.
            on_unchanged: Is told of two moments, by `time.monotonic()`, between which nothing was written.
        """
        self._reader = reader
        self._on_unchanged = on_unchanged
        self._snapshot: str | None = None
        self._since = 0.0
        self._looked_at = 0.0
        self._looking: asyncio.Task[None] | None = None

    def look_soon(self) -> None:
        """Begin to look, unless that was done a moment ago; nobody waits for it."""
        now = time.monotonic()
        if self._looking is None and now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        began = time.monotonic()
        try:
            snapshot = await self._reader.row(_SNAPSHOT)
        except BugRelayError:  # nobody knows what is written meanwhile
            snapshot = None
        finally:
            self._looking = None
        if snapshot is not None and snapshot == self._snapshot:
            self._on_unchanged(self._since, began)
        else:
            self._snapshot, self._since = snapshot, time.monotonic()
