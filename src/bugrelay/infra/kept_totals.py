"""Kept totals: materialised counts in a table, which a job updates from the log of changes (docs/adr/0016)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cached_property

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    PrimaryKeyConstraint,
    Table,
    Text,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from bugrelay.infra.db.database import Connection
from bugrelay.infra.db.models import Base
from bugrelay.infra.db.query import Query, Values
from bugrelay.infra.db.slow_connection import slow_connection
from bugrelay.infra.incremental_counts import Counted, IncrementalCounts, Statement

ROUND_SECONDS = 60.0  # after which the rest is left to the next round
_SERVER: ColumnElement[int] = literal_column(
    "(SELECT system_identifier FROM pg_control_system())", BigInteger
)


def kept_totals_table(name: str, *, primary_key: str) -> Table:
    """A table of kept totals.

    `cluster` is the server's system identifier: snapshots have transaction ids, which are invalid on another server.
    """
    return Table(
        name,
        Base.metadata,
        Column("key", Text),
        Column("total", BigInteger, nullable=False),
        Column("snapshot", Text, nullable=False),
        Column("era", Text, nullable=False),
        Column("cluster", BigInteger, nullable=False),
        Column("carried_at", DateTime(timezone=True), server_default=text("now()"), nullable=False),
        Column("asked_at", DateTime(timezone=True), server_default=text("now()"), nullable=False),
        PrimaryKeyConstraint("key", name=primary_key),
    )


class KeptTotals:
    """The kept totals of one table.

    Args:
        table: A table made by `kept_totals_table`.
        era: The current era of the counted table.
        statement_of: Returns the statement that counts a key, and its parameters.
    """

    def __init__(
        self,
        table: Table,
        *,
        era: ColumnElement[str],
        statement_of: Callable[[str], tuple[Statement[Counted], Values]],
    ) -> None:
        self.name = table.name
        self._kept = table.c
        self._table = table
        self._era = era
        self._statement_of = statement_of

    @cached_property
    def by_key(self) -> Query[Counted]:
        """The total of `:key`, if it is valid.

        It must be of the current era, which a TRUNCATE or a restore ends; of this server, since the transaction ids of
        its snapshot are invalid elsewhere; and much younger than the oldest entry of the log of changes.
        """
        kept = self._kept
        return Query(
            select(kept.total, kept.snapshot, kept.era).where(
                kept.key == bindparam("key"),
                kept.era == self._era,
                kept.cluster == _SERVER,
                kept.carried_at > literal_column("now() - interval '30 minutes'"),
            ),
            Counted,
        )

    @asynccontextmanager
    async def round(self, *, database_url: str) -> AsyncIterator[Connection | None]:
        """A connection for a round of counting, or None while another round is running."""
        trying = Query(text("SELECT pg_try_advisory_lock(hashtext(:name))"), bool)
        async with slow_connection(database_url, name=f"bugrelay-{self.name}") as reader:
            yield reader if await reader.row(trying, {"name": self.name}) else None

    async def keys(self, reader: Connection) -> Sequence[str]:
        return await reader.rows(Query(select(self._kept.key), str))

    async def count_once(self, key: str, *, database_url: str, counts: IncrementalCounts) -> None:
        """Count a total that a reader needs, unless it is valid already; idempotent."""
        asked = update(self._table).where(self._kept.key == bindparam("asked")).values(asked_at=func.now())
        async with slow_connection(database_url, name=f"bugrelay-{self.name}") as reader:
            if await reader.row(self.by_key, {"key": key}) is None:
                await self.count(reader, key, counts=counts)
            await reader.execute(Query(asked).sql, {"asked": key})

    async def delete_unused(self, reader: Connection, *, but: Sequence[str] = ()) -> None:
        """Delete totals that were not used for a day, except these."""
        old = self._kept.asked_at < func.now() - timedelta(days=1)
        excepted = self._kept.key == func.any(bindparam("excepted", type_=ARRAY(Text)))
        deleting = Query(delete(self._table).where(old, ~excepted))
        await reader.execute(deleting.sql, {**deleting.constants, "excepted": list(but)})

    async def carry(self, reader: Connection, key: str, *, counts: IncrementalCounts) -> bool:
        """Add the changes since its snapshot to a kept total; returns False if it is not valid any more."""
        kept = await reader.row(self.by_key, {"key": key})
        if kept is None:
            return False
        statement, values = self._statement_of(key)
        (change,) = await reader.rows(statement(incremental=True), {**values, "snapshot": kept.snapshot})
        if change.era != kept.era:
            return False
        await self._keep(
            reader, key, Counted(kept.total + change.total, change.snapshot, change.era), counts=counts
        )
        return True

    async def count(self, reader: Connection, key: str, *, counts: IncrementalCounts) -> None:
        statement, values = self._statement_of(key)
        (counted,) = await reader.rows(statement(incremental=False), values)
        await self._keep(reader, key, counted, counts=counts)

    async def _keep(
        self, reader: Connection, key: str, counted: Counted, *, counts: IncrementalCounts
    ) -> None:
        new = insert(self._table).values(
            {name: bindparam(name) for name in ("key", "total", "snapshot", "era")} | {"cluster": _SERVER}
        )
        again = {name: new.excluded[name] for name in ("total", "snapshot", "era", "cluster")}
        keeping = Query(
            new.on_conflict_do_update(index_elements=["key"], set_={**again, "carried_at": func.now()})
        )
        await reader.execute(keeping.sql, {"key": key, **msgspec.structs.asdict(counted)})
        await counts.share(key, counted)
