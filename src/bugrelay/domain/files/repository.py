"""References to stored files: in any table, each value of a column `storage_key` references one file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import ARRAY, CompoundSelect, Text, bindparam, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.infra.db.models import Base
from bugrelay.infra.db.query import Query, Reader

STORAGE_KEY = "storage_key"


def tables_that_name_files() -> list[str]:
    """Tables with a `storage_key`, of the models that are imported; `bootstrap` imports all of them."""
    return sorted(table.name for table in Base.metadata.tables.values() if STORAGE_KEY in table.c)


async def unnamed_files(session: AsyncSession, keys: Sequence[str]) -> list[str]:
    """Those of these storage keys that no row references."""
    key = func.unnest(bindparam("keys", list(keys), type_=ARRAY(Text))).column_valued("key")
    named = _named_files().subquery("named")
    is_named = select(named.c[STORAGE_KEY]).where(named.c[STORAGE_KEY] == key).exists()
    return list(await session.scalars(select(key).where(~is_named)))


async def is_named(reader: Reader, storage_key: str) -> bool:
    """Whether a row references this file."""
    return await reader.row(_is_named(), {"storage_key": storage_key}) is not None


@lru_cache(maxsize=1)
def _is_named() -> Query[str]:
    """Built at first use, when all models are imported."""
    named = _named_files().subquery("named")
    return Query(select(named.c[STORAGE_KEY]).where(named.c[STORAGE_KEY] == bindparam(STORAGE_KEY)), str)


def _named_files() -> CompoundSelect[tuple[str]]:
    tables = (Base.metadata.tables[name] for name in tables_that_name_files())
    return union_all(*(select(table.c[STORAGE_KEY]) for table in tables))
