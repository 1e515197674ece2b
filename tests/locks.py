"""Waiting until a statement of somebody else waits for a lock: an event, where a pause would be a guess."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def until_somebody_waits_for_a_lock(sql: psycopg.Connection[Any], *, number: int = 1) -> None:
    """
    Args:
        sql: A connection that commits each statement.
        number: How many have to wait.

    Raises:
        TimeoutError: Fewer have within a minute.
    """
    async with asyncio.timeout(60):
        while (sql.execute(WAITING).fetchone() or (0,))[0] < number:
            await asyncio.sleep(0.01)
