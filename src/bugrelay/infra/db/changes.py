"""Detects whether anything was written to the database.

A snapshot tells which transactions have ended. If two are equal, every read between them saw the same database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sqlalchemy import text

from bugrelay.errors import BugRelayError
from bugrelay.infra.db.query import Query, Reader

CHECK_SECONDS = 0.2

_SNAPSHOT = Query(text("SELECT pg_current_snapshot()::text"), str)


class ChangeDetector:
    """Compares snapshots of the database, at most every `CHECK_SECONDS` and only on demand."""

    def __init__(self, reader: Reader, on_unchanged: Callable[[float, float], None]) -> None:
        """
        Args:
            reader: The primary.
            on_unchanged: Called with two times of `time.monotonic()` between which nothing was written.
        """
        self._reader = reader
        self._on_unchanged = on_unchanged
        self._snapshot: str | None = None
        self._since = 0.0
        self._checked_at = 0.0
        self._checking: asyncio.Task[None] | None = None

    def check_soon(self) -> None:
        """Start to read the snapshot in the background, unless that was done less than `CHECK_SECONDS` ago."""
        now = time.monotonic()
        if self._checking is None and now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            self._checking = asyncio.create_task(self._check())

    async def _check(self) -> None:
        began = time.monotonic()
        try:
            snapshot = await self._reader.row(_SNAPSHOT)
        except BugRelayError:  # there may be writes that this process cannot see
            snapshot = None
        finally:
            self._checking = None
        if snapshot is not None and snapshot == self._snapshot:
            self._on_unchanged(self._since, began)
        else:
            self._snapshot, self._since = snapshot, time.monotonic()
