"""SELECTs of the tags of listed bugs with their counts, which triggers maintain."""

from __future__ import annotations

from sqlalchemy import Integer, Text, bindparam, func, select

from bugrelay.domain.bugs.models import tag_changes, tag_counts
from bugrelay.domain.bugs.schemas import TagCount, TagQuery
from bugrelay.infra.db.like import contains
from bugrelay.infra.db.query import Query, Reader, Row

_moved = (
    select(tag_changes.c.name, func.sum(tag_changes.c.sign).label("by"))
    .group_by(tag_changes.c.name)
    .subquery("moved")
)
_tags = (
    select(
        func.coalesce(tag_counts.c.name, _moved.c.name).label("name"),
        (func.coalesce(tag_counts.c.count, 0) + func.coalesce(_moved.c.by, 0)).label("count"),
    )
    .select_from(tag_counts.join(_moved, _moved.c.name == tag_counts.c.name, full=True))
    .subquery("tags")
)
_used = (
    select(_tags.c.name, _tags.c.count)
    .where(_tags.c.count > 0, _tags.c.name.like(bindparam("prefix", type_=Text)))
    .subquery("used")
)


class _TagRow(Row):
    name: str
    count: int
    total: int


_TAGS = Query(
    select(_used.c.name, _used.c.count, func.count().over().label("total"))
    .order_by(_used.c.count.desc(), _used.c.name)
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer)),
    _TagRow,
)
_TAG_TOTAL = Query(select(func.count()).select_from(_used), int)


async def list_tags(reader: Reader, query: TagQuery) -> tuple[list[TagCount], int]:
    """A page of tags, most used first, and their total."""
    prefix = contains((query.search or "").lower()).removeprefix("%")
    rows = await reader.rows(_TAGS, {"prefix": prefix, "limit": query.limit, "offset": query.offset})
    if rows:
        return [TagCount(row.name, row.count) for row in rows], rows[0].total
    if query.page == 1:
        return [], 0
    return [], await reader.row(_TAG_TOTAL, {"prefix": prefix}) or 0
