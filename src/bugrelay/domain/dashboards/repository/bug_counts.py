"""Counts of bugs by status, for the companies or applications of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, func, select

from bugrelay.domain.bugs.models import Bug
from bugrelay.domain.bugs.visibility import LISTED
from bugrelay.domain.dashboards.schemas import BugStats
from bugrelay.infra.db.query import Query, Reader, Row

IDS = bindparam("ids", type_=ARRAY(Uuid))


class _StatusCount(Row):
    counted_id: UUID
    status: str
    count: int


def _counts_by(column: Any) -> Query[_StatusCount]:
    return Query(
        select(column.label("counted_id"), Bug.status, func.count().label("count"))
        .where(column == any_(IDS), LISTED)
        .group_by(column, Bug.status),
        _StatusCount,
    )


BY_COMPANY = _counts_by(Bug.assigned_company_id)
BY_APPLICATION = _counts_by(Bug.application_id)


async def bug_stats(reader: Reader, query: Query[_StatusCount], ids: Sequence[UUID]) -> dict[UUID, BugStats]:
    """The counts for each of these ids, by the query `BY_COMPANY` or `BY_APPLICATION`."""
    found = {one: BugStats() for one in ids}
    for row in await reader.rows(query, {"ids": list(ids)}):
        setattr(found[row.counted_id], row.status, row.count)
        found[row.counted_id].total += row.count
    return found
