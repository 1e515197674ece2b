"""Checks of foreign keys, which PostgreSQL enforces except during a restore."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from psycopg import sql
from psycopg.rows import class_row, scalar_row

from bugrelay.infra.db.database import Row
from bugrelay.integrity_check.connection import Connection, rows_of

_REFERENCES: Final = """
    SELECT c.conrelid::regclass::text AS child, c.confrelid::regclass::text AS parent,
           array_agg(child.attname ORDER BY k.position) AS child_columns,
           array_agg(parent.attname ORDER BY k.position) AS parent_columns
    FROM pg_constraint c
    CROSS JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY AS k(child, parent, position)
    JOIN pg_attribute child ON child.attrelid = c.conrelid AND child.attnum = k.child
    JOIN pg_attribute parent ON parent.attrelid = c.confrelid AND parent.attnum = k.parent
    WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
    GROUP BY c.oid ORDER BY 1, 3
"""


class _Reference(Row):
    """A foreign key: the tables, and the columns that must be equal."""

    child: str
    parent: str
    child_columns: list[str]
    parent_columns: list[str]


async def broken_references(connection: Connection) -> AsyncIterator[str]:
    """Rows that reference a missing row; PostgreSQL prevents them, except during a restore."""
    async with connection.cursor(row_factory=class_row(_Reference)) as cursor:
        references = await (await cursor.execute(_REFERENCES)).fetchall()
    for reference in references:
        statement = sql.SQL(
            "SELECT {values} FROM {child} AS c WHERE {filled} AND NOT EXISTS (SELECT FROM {parent} AS p WHERE {same})"
        ).format(
            values=sql.SQL(" || ', ' || ").join(
                sql.SQL("{}::text").format(_column("c", name)) for name in reference.child_columns
            ),
            child=sql.Identifier(reference.child),
            filled=sql.SQL(" AND ").join(
                sql.SQL("{} IS NOT NULL").format(_column("c", name)) for name in reference.child_columns
            ),
            parent=sql.Identifier(reference.parent),
            same=sql.SQL(" AND ").join(
                sql.SQL("{} = {}").format(_column("p", theirs), _column("c", ours))
                for ours, theirs in zip(reference.child_columns, reference.parent_columns, strict=True)
            ),
        )
        where = f"{reference.child}.{','.join(reference.child_columns)}"
        async for values in rows_of(connection, statement, scalar_row):
            yield f"{where} {values}: there is no such row in {reference.parent}"


def _column(table: str, name: str) -> sql.Identifier:
    return sql.Identifier(table, name)
