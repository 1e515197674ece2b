"""A connection for jobs whose statements take longer than a request may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bugrelay.infra.db.database import Connection, libpq_url

STATEMENT_SECONDS = 90  # nobody waits for it any more


class _SlowConnection(Connection):
    exchange_seconds = STATEMENT_SECONDS + 5.0


@asynccontextmanager
async def slow_connection(database_url: str, *, name: str) -> AsyncIterator[Connection]:
    """A connection of its own, each statement a transaction, on which one may take as long as a job may.

    Args:
        database_url: Of the primary.
        name: What PostgreSQL's administrators see.
    """
    connection = await _SlowConnection.connect(
        libpq_url(database_url),
        autocommit=True,
        connect_timeout=5,
        application_name=name,
        options=f"-c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout=5s -c timezone=UTC"
        " -c work_mem=32MB -c jit=off -c max_parallel_workers_per_gather=0",
    )
    async with connection:
        yield connection
