"""The base of all tables: the naming convention of constraints, and the column types that domains share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import DateTime, Uuid, text
from sqlalchemy.orm import DeclarativeBase, mapped_column

from bugrelay.infra.ids import new_id
from bugrelay.infra.optional_packages import left_out, without_init

# Only its base: its other modules, and what those import if it is installed, would take 27 MB of a worker.
with left_out("litestar", "numpy", "pydantic"), without_init("advanced_alchemy"):
    from advanced_alchemy.base import CommonTableAttributes, orm_registry

# Not advanced-alchemy's UUID bases: they add a sentinel column to every table, and fall back to version 4
# (docs/adr/0002).
Id = Annotated[UUID, mapped_column(Uuid, primary_key=True, default=new_id)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=text("now()"))]
Counter = Annotated[int, mapped_column(server_default="0")]


class Base(CommonTableAttributes, DeclarativeBase):
    """Base class of all tables. Relationships are not mapped, since services decide about deletion and rights."""

    registry = orm_registry  # its naming convention gives every constraint and index a name
    __abstract__ = True
