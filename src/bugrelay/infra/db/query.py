"""Statements that are compiled once, and the structs of their rows.

Reads do not use ORM objects: a SELECT is written in SQLAlchemy Core (the models stay the source of truth), compiled
once and run by psycopg. For measurements see docs/adr/0003.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from inspect import Parameter, signature
from itertools import starmap
from typing import Any, Generic, Protocol, TypeVar, overload

from msgspec import Struct
from psycopg import AsyncCursor
from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

Values = Mapping[str, Any]
RowT = TypeVar("RowT")

_DIALECT = PGDialect_psycopg(paramstyle="pyformat")  # type: ignore[no-untyped-call]


class Row(Struct, gc=False):
    """Base of structs for rows that repositories do not return as they are: the columns of a SELECT by name, in its
    order.

    Rows are not tracked by the garbage collector, since they cannot be part of a reference cycle.
    """


class Query(Generic[RowT]):
    """A statement that is compiled once, when first used; `%(name)s` parameters are bound at each call.

    Attributes:
        sql: The statement for psycopg.
        constants: The values that are part of the statement, by the names of their parameters.

    Args:
        statement: A statement of SQLAlchemy Core, or a textual one.
        row: The type of a row: a struct that is not `kw_only`, with fields named like the columns and in their order;
            or, for a statement with one column, the type of its values. By default rows are tuples, for columns that
            are chosen at run time.
        binary: Whether rows are sent in PostgreSQL's binary format, which is faster for large values of bytes.

    Raises:
        TypeError: The columns are not the fields of the struct; for textual statements, raised when first run.
    """

    __slots__ = ("_checked", "_row", "_statement", "binary", "constants", "rows_of", "sql")

    sql: str
    constants: dict[str, Any]

    @overload
    def __init__(self: Query[tuple[Any, ...]], statement: Executable, *, binary: bool = ...) -> None: ...
    @overload
    def __init__(self, statement: Executable, row: type[RowT], *, binary: bool = ...) -> None: ...
    def __init__(self, statement: Executable, row: type[Any] | None = None, *, binary: bool = False) -> None:
        self._statement: Executable | None = statement
        self.binary = binary
        self.rows_of: Callable[[Sequence[tuple[Any, ...]]], Sequence[RowT]] = _maker(row)
        self._row = row
        self._checked = False
        columns = getattr(statement, "exported_columns", None)
        if columns is not None:
            self._check(columns.keys())

    def __getattr__(self, name: str) -> Any:
        """Python calls it for slots without a value only: what follows from the statement has none at first.

        A process imports hundreds of statements, and most processes run few of them.
        """
        if name not in ("sql", "constants"):
            raise AttributeError(name)
        compiled = self._statement.compile(dialect=_DIALECT)  # type: ignore[union-attr]
        self.sql = compiled.string
        self.constants = {k: v for k, v in compiled.params.items() if v is not None}
        self._statement = None
        return getattr(self, name)

    def read(self, cursor: AsyncCursor[Any], rows: Sequence[tuple[Any, ...]]) -> Sequence[RowT]:
        """The rows of a result as structs, values or tuples."""
        if not self._checked:
            self._check([column.name for column in cursor.description or ()])
        return self.rows_of(rows)

    def _check(self, columns: Sequence[str]) -> None:
        if self._row is not None and not _fits(self._row, columns):
            raise TypeError(f"{self._row.__name__} is not made of ({', '.join(columns)}): {self.sql}")
        self._checked = True


def _fits(row: type[Any], columns: Sequence[str]) -> bool:
    return tuple(columns) == row.__struct_fields__ if issubclass(row, Struct) else len(columns) == 1


def _maker(row: type[Any] | None) -> Callable[[Sequence[tuple[Any, ...]]], Sequence[Any]]:
    """A function that converts psycopg's tuples, without Python code for each row where they become structs.

    Raises:
        TypeError: The struct is `kw_only`.
    """
    if row is None:
        return _as_they_are
    if issubclass(row, Struct):
        if any(field.kind is Parameter.KEYWORD_ONLY for field in signature(row).parameters.values()):
            raise TypeError(f"{row.__name__} takes no values by position")
        return lambda rows: list(starmap(row, rows))
    return _only_values


def _as_they_are(rows: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    return rows


def _only_values(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [value for (value,) in rows]


class Reader(Protocol):
    """Runs queries: on a connection for each, on one connection, or in a transaction."""

    async def rows(self, query: Query[RowT], values: Values | None = None) -> Sequence[RowT]:
        """All rows."""
        ...

    async def row(self, query: Query[RowT], values: Values | None = None) -> RowT | None:
        """The first row, or None."""
        rows = await self.rows(query, values)
        return rows[0] if rows else None


class SnapshotReader(Reader, Protocol):
    """A reader that can run several queries in one snapshot."""

    def snapshot(self) -> AbstractAsyncContextManager[None]:
        """A context in which all queries read the same snapshot of the database."""
        ...
