"""A connection for jobs, with a longer statement timeout than that of requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bugrelay.infra.db.database import Connection, libpq_url

STATEMENT_SECONDS = 90  # no request waits for it


class _SlowConnection(Connection):
    exchange_seconds = STATEMENT_SECONDS + 5.0


@asynccontextmanager
async def slow_connection(database_url: str, *, name: str) -> AsyncIterator[Connection]:
    """A new connection in autocommit mode, with a statement timeout of `STATEMENT_SECONDS`.

    Args:
        database_url: The URL of the primary.
        name: The `application_name`, for PostgreSQL's administrators.
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
