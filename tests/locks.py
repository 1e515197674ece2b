"""Waiting until a statement of somebody else waits for a lock: an event, where a pause would be a guess."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def until_somebody_waits_for_a_lock(sql: psycopg.Connection[Any]) -> None:
    """
    Raises:
        TimeoutError: Nobody has within twenty seconds.
    """
    async with asyncio.timeout(20):
        while sql.execute(WAITING).fetchone() == (0,):
            await asyncio.sleep(0.01)
