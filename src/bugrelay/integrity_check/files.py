"""Checks of stored files against the rows that name them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, LiteralString

from psycopg import sql
from psycopg.rows import class_row, scalar_row

from bugrelay.domain.files.repository import is_named, tables_that_name_files
from bugrelay.infra.db.database import Row
from bugrelay.infra.platform import Platform
from bugrelay.infra.storage.port import FileMissing, Storage
from bugrelay.integrity_check.connection import Connection, rows_of

_MISSING_FILES: Final = """
    SELECT a.storage_key AS key, format('{name} %s: %s', a.id, CASE
        WHEN f.key IS NULL THEN 'its file ' || a.storage_key || ' is missing'
        ELSE format('its file %s has %s bytes, not %s', a.storage_key, f.size_bytes, a.file_size) END) AS problem,
        a.file_size AS size_bytes
    FROM {table} a LEFT JOIN stored_files f ON f.key = a.storage_key
    WHERE a.storage_key IS NOT NULL AND (f.key IS NULL OR f.size_bytes <> a.file_size)
"""
_NAMES: Final[dict[str, LiteralString]] = {
    "attachments": "attachment",
    "ticket_attachments": "file of a ticket",
    "support_screenshots": "screenshot of a support report",
}
# A picture is stored before its row is written, so a new file may still get one.
_UNNAMED_FILES: Final = """
    SELECT key, format('file %s: no attachment names it', key) AS problem, NULL::bigint AS size_bytes
    FROM stored_files f
    WHERE modified_at < now() - interval '1 hour' AND key NOT LIKE 'incoming/%'
      AND NOT EXISTS (SELECT FROM ({named}) AS n WHERE n.storage_key = f.key)
"""
# Uploads that are not completed are deleted by jobs within a day.
_UNFINISHED_FILES: Final[LiteralString] = """
    SELECT format('file %s: waits to be taken over since %s', key, to_char(modified_at, 'YYYY-MM-DD HH24:MI'))
    FROM stored_files WHERE modified_at < now() - interval '26 hours' AND key LIKE 'incoming/%'
"""


class _FileProblem(Row):
    """`size_bytes`: the size in the row that names the file, if there is one."""

    key: str
    problem: str
    size_bytes: int | None


async def wrong_files(connection: Connection, platform: Platform) -> AsyncIterator[str]:
    """Files change during the snapshot, so each difference is checked once more."""
    as_problem = class_row(_FileProblem)
    for table in tables_that_name_files():
        missing_files = sql.SQL(_MISSING_FILES).format(
            name=sql.SQL(_NAMES[table]), table=sql.Identifier(table)
        )
        async for missing in rows_of(connection, missing_files, as_problem):
            is_wrong = await _stored_size(platform.storage, missing.key) != missing.size_bytes
            if is_wrong and await is_named(platform.database, missing.key):
                yield missing.problem
    unnamed_files = sql.SQL(_UNNAMED_FILES).format(named=_named_files())
    async for unnamed in rows_of(connection, unnamed_files, as_problem):
        if await _stored_size(platform.storage, unnamed.key) is not None:
            yield unnamed.problem
    async for unfinished in rows_of(connection, _UNFINISHED_FILES, scalar_row):
        yield unfinished


def _named_files() -> sql.Composed:
    tables = (sql.Identifier(name) for name in tables_that_name_files())
    return sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT storage_key FROM {}").format(table) for table in tables
    )


async def _stored_size(storage: Storage, key: str) -> int | None:
    with suppress(FileMissing):
        return await storage.size_of(key)
    return None
