"""The connection of a check: one snapshot of the database, and no deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import BaseRowFactory

from bugrelay.infra.db.database import libpq_url
from bugrelay.infra.platform import Platform
from bugrelay.infra.storage.port import Storage

T = TypeVar("T")
Connection = psycopg.AsyncConnection[Any]

_FETCHED_AT_ONCE: Final = 500


@asynccontextmanager
async def open_snapshot(platform: Platform) -> AsyncIterator[Connection]:
    """A transaction with one snapshot of the database, and a table of the files in storage."""
    options = "-c statement_timeout=0 -c timezone=UTC"
    connection = await psycopg.AsyncConnection.connect(
        libpq_url(platform.settings.database_url), application_name="bugrelay check", options=options
    )
    async with connection:
        await _list_files(connection, platform.storage)
        await connection.commit()
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        yield connection


async def _list_files(connection: Connection, storage: Storage) -> None:
    await connection.execute(
        "CREATE TEMPORARY TABLE stored_files (key text, size_bytes bigint, modified_at timestamptz)"
    )
    async with connection.cursor() as cursor, cursor.copy("COPY stored_files FROM STDIN") as copy:
        async for file in storage.listing():
            await copy.write_row((file.key, file.size_bytes, file.modified_at))
    await connection.execute("CREATE INDEX ON stored_files (key)")
    await connection.execute("ANALYZE stored_files")


async def rows_of(
    connection: Connection, statement: sql.Composed | LiteralString, row: BaseRowFactory[T]
) -> AsyncIterator[T]:
    """The rows, fetched in batches from a server-side cursor."""
    async with connection.cursor(name="problems", row_factory=row) as cursor:
        cursor.itersize = _FETCHED_AT_ONCE
        await cursor.execute(statement)
        async for each in cursor:
            yield each
