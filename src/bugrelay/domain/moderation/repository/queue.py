"""SELECTs of the moderators' lists: bugs in any state with their flags; the flagged ones are the queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from msgspec.structs import asdict
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Integer,
    Text,
    Uuid,
    any_,
    bindparam,
    func,
    not_,
    select,
    union_all,
)

from bugrelay.domain.accounts.models import User
from bugrelay.domain.bugs.models import Bug, BugSearch, BugText, Comment
from bugrelay.domain.bugs.repository import ITEM_COLUMNS, ItemRow, item_of, joined
from bugrelay.domain.bugs.schemas import UserRef
from bugrelay.domain.bugs.search.statements import document_matches
from bugrelay.domain.bugs.visibility import COMMENT_SHOWN, LISTED
from bugrelay.domain.moderation.models import Flag
from bugrelay.domain.moderation.schemas import (
    FlagOut,
    ModeratedBug,
    ModerationQuery,
)
from bugrelay.infra.db.like import contains
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.search.parser import parse_search

FLAGS_SHOWN = 50  # of one bug, in the queue
_limit, _offset = bindparam("limit", type_=Integer), bindparam("offset", type_=Integer)


# The flag of a comment counts for the bug that the comment is shown with, while it is shown.
_flags = union_all(
    select(Flag.id, Flag.bug_id.label("shown_with")).where(Flag.bug_id.is_not(None)),
    select(Flag.id, Comment.bug_id).join(Comment, Comment.id == Flag.comment_id).where(COMMENT_SHOWN),
).subquery("placed_flags")
flag_counts = (
    select(_flags.c.shown_with, func.count().label("flag_count"))
    .group_by(_flags.c.shown_with)
    .subquery("flag_counts")
)

_FILTERS: dict[str, ColumnElement[bool]] = {
    "status": Bug.status == bindparam("status"),
    "removed": Bug.removed_at.is_not(None),
    "not_removed": Bug.removed_at.is_(None),
    "visible": LISTED,
    "not_flagged": Bug.id.not_in(select(_flags.c.shown_with)),
    "search": Bug.id.in_(
        union_all(
            select(BugSearch.bug_id).where(document_matches(BugSearch.document, "search")),
            # Removed and merged bugs have no search document.
            select(Bug.id).where(not_(LISTED), Bug.title.ilike(bindparam("title_part", type_=Text))),
        )
    ),
}


@dataclass(frozen=True)
class _QuerySpec:
    """What the SQL of a list depends on; values are parameters."""

    filters: tuple[str, ...]
    flagged: bool


def _spec_of(query: ModerationQuery) -> _QuerySpec:
    wanted = {
        "status": query.status is not None,
        "removed": query.removed is True,
        "not_removed": query.removed is False,
        # The queue has what is left to do, so removed bugs are in it only if the query asks for them.
        "visible": query.flagged is True and query.removed is not True,
        "not_flagged": query.flagged is False,
        "search": query.search is not None,
    }
    return _QuerySpec(tuple(name for name, on in wanted.items() if on), flagged=query.flagged is True)


def _base(spec: _QuerySpec) -> tuple[FromClause, list[ColumnElement[bool]]]:
    source: Any = Bug.__table__
    if spec.flagged:
        source = source.join(flag_counts, flag_counts.c.shown_with == Bug.id)
    return source, [_FILTERS[name] for name in spec.filters]


@lru_cache(maxsize=128)
def _total_query(spec: _QuerySpec) -> Query[int]:
    source, conditions = _base(spec)
    return Query(select(func.count()).select_from(source).where(*conditions), int)


class _ModeratedRow(ItemRow):
    reporter_email: str | None
    contact_email: str | None
    removed_at: datetime | None
    removed_reason: str | None
    merged_into_id: UUID | None


@lru_cache(maxsize=128)
def _page_query(spec: _QuerySpec) -> Query[_ModeratedRow]:
    """Most flagged first in the queue, else newest first; wide rows are read for the page only."""
    source, conditions = _base(spec)
    order: list[ColumnElement[Any]] = [Bug.created_at.desc(), Bug.id.desc()]
    if spec.flagged:
        order.insert(0, flag_counts.c.flag_count.desc())
    page = (
        select(Bug.id.label("id"), func.row_number().over(order_by=order).label("position"))
        .select_from(source)
        .where(*conditions)
        .order_by(*order)
        .limit(_limit)
        .offset(_offset)
        .subquery("page")
    )
    return Query(
        select(
            *ITEM_COLUMNS,
            User.email.label("reporter_email"),
            BugText.contact_email,
            Bug.removed_at,
            Bug.removed_reason,
            Bug.merged_into_id,
        )
        .select_from(joined(page.join(Bug.__table__, Bug.id == page.c.id)))
        .order_by(page.c.position),
        _ModeratedRow,
    )


async def list_moderated(reader: Reader, query: ModerationQuery) -> tuple[list[ModeratedBug], int]:
    """A page of bugs in any state, and the total of matching ones."""
    spec = _spec_of(query)
    values: dict[str, Any] = {"status": query.status} if query.status else {}
    if query.search is not None:
        search = await parse_search(reader, query.search)
        values |= {"search": search.all_words or "", "title_part": contains(query.search)}
    total = await reader.row(_total_query(spec), values) or 0
    rows = await reader.rows(_page_query(spec), values | {"limit": query.limit, "offset": query.offset})
    flags = await _flags_of(reader, [row.id for row in rows])
    return [_moderated(row, flags.get(row.id) or _Flags(0, [])) for row in rows], total


def _moderated(row: _ModeratedRow, flags: _Flags) -> ModeratedBug:
    item = item_of(row)
    if item.reporter is not None:
        item.reporter.email = row.reporter_email or None
    return ModeratedBug(
        **asdict(item),
        flag_count=flags.count,
        flags=flags.latest,
        removed_at=row.removed_at,
        removed_reason=row.removed_reason,
        merged_into_id=row.merged_into_id,
        contact_email=row.contact_email,
    )


_ranked = (
    select(
        _flags.c.id,
        _flags.c.shown_with,
        func.count().over(partition_by=_flags.c.shown_with).label("flag_count"),
        func.row_number().over(partition_by=_flags.c.shown_with, order_by=_flags.c.id.desc()).label("rank"),
    )
    .where(_flags.c.shown_with == any_(bindparam("bug_ids", type_=ARRAY(Uuid))))
    .subquery("ranked")
)


class _FlagRow(Row):
    """A flag; `flag_count` is the number of all flags of its bug."""

    shown_with: UUID
    flag_count: int
    id: UUID
    comment_id: UUID | None
    reason: str
    note: str | None
    user_id: UUID
    username: str
    created_at: datetime


_FLAGS = Query(
    select(
        _ranked.c.shown_with,
        _ranked.c.flag_count,
        Flag.id,
        Flag.comment_id,
        Flag.reason,
        Flag.note,
        Flag.user_id,
        User.username,
        Flag.created_at,
    )
    .join(Flag, Flag.id == _ranked.c.id)
    .join(User, User.id == Flag.user_id)
    .where(_ranked.c.rank <= FLAGS_SHOWN)
    .order_by(_ranked.c.shown_with, _ranked.c.rank),
    _FlagRow,
)


class _Flags(Row):
    """The flags of one bug: their number, and the latest `FLAGS_SHOWN`, newest first."""

    count: int
    latest: list[FlagOut]


async def _flags_of(reader: Reader, bug_ids: list[UUID]) -> dict[UUID, _Flags]:
    """The flags of these bugs by bug id, without bugs that have none."""
    rows = await reader.rows(_FLAGS, {"bug_ids": bug_ids}) if bug_ids else []
    return {
        bug_id: _Flags(of_bug[0].flag_count, [_flag(row) for row in of_bug])
        for bug_id, of_bug in ((one, list(group)) for one, group in groupby(rows, attrgetter("shown_with")))
    }


def _flag(row: _FlagRow) -> FlagOut:
    return FlagOut(
        id=row.id,
        comment_id=row.comment_id,
        reason=row.reason,
        note=row.note,
        user=UserRef(row.user_id, row.username),
        created_at=row.created_at,
    )
