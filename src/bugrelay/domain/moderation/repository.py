"""Every SELECT of moderation: the queue, the audit log, the dashboard, and who or what an act is about."""

from __future__ import annotations

from collections.abc import Sequence
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
    DateTime,
    FromClause,
    Integer,
    Text,
    Uuid,
    any_,
    bindparam,
    func,
    literal_column,
    not_,
    or_,
    select,
    union_all,
)

from bugrelay.domain.accounts.models import User
from bugrelay.domain.bugs.models import Bug, BugSearch, BugText, Comment, Vote
from bugrelay.domain.bugs.repository import ITEM_COLUMNS, ItemRow, item_of, joined
from bugrelay.domain.bugs.schemas import UserRef
from bugrelay.domain.bugs.search.parser import parse_search
from bugrelay.domain.bugs.search.statements import document_matches
from bugrelay.domain.bugs.visibility import COMMENT_SHOWN, LISTED
from bugrelay.domain.companies.models import Company
from bugrelay.domain.moderation.models import AuditLog, Flag
from bugrelay.domain.moderation.schemas import (
    AuditEntry,
    AuditQuery,
    AuditUser,
    FlagOut,
    ModeratedBug,
    ModerationQuery,
    Stats,
)
from bugrelay.infra.db.like import contains
from bugrelay.infra.db.query import Query, Reader, Row

FLAGS_SHOWN = 50  # of one bug, in the queue
_limit, _offset = bindparam("limit", type_=Integer), bindparam("offset", type_=Integer)

# --- who and what ---------------------------------------------------------------------------------------------------

_USER = Query(select(User.is_admin).where(User.id == bindparam("user_id")), bool)
_COMMENT = Query(select(literal_column("1")).where(Comment.id == bindparam("comment_id")), int)
_ENDED_BANS = Query(
    select(User.id).where(User.banned_at.is_not(None), User.banned_until <= func.now()).order_by(User.id),
    UUID,
)


async def is_admin(reader: Reader, user_id: UUID) -> bool | None:
    """None for nobody."""
    return await reader.row(_USER, {"user_id": user_id})


async def has_comment(reader: Reader, comment_id: UUID) -> bool:
    """Whether there is such a comment, be it withdrawn or removed."""
    return await reader.row(_COMMENT, {"comment_id": comment_id}) is not None


async def ended_bans(reader: Reader) -> Sequence[UUID]:
    """The users whose ban has ended and is not lifted yet."""
    return await reader.rows(_ENDED_BANS)


# --- the queue ------------------------------------------------------------------------------------------------------

# A flag of a comment is in the queue under the bug that the comment is shown with, while it is shown.
_flags = union_all(
    select(Flag.id, Flag.bug_id.label("shown_with")).where(Flag.bug_id.is_not(None)),
    select(Flag.id, Comment.bug_id).join(Comment, Comment.id == Flag.comment_id).where(COMMENT_SHOWN),
).subquery("placed_flags")
_counts = (
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
            # What is removed or merged away has no search document.
            select(Bug.id).where(not_(LISTED), Bug.title.ilike(bindparam("title_part", type_=Text))),
        )
    ),
}


@dataclass(frozen=True)
class _QuerySpec:
    """What the SQL of a list depends on; its values are parameters."""

    filters: tuple[str, ...]
    flagged: bool


def _spec_of(query: ModerationQuery) -> _QuerySpec:
    wanted = {
        "status": query.status is not None,
        "removed": query.removed is True,
        "not_removed": query.removed is False,
        # The queue is what is left to do: a removed bug is in it only for who asks for removed ones.
        "visible": query.flagged is True and query.removed is not True,
        "not_flagged": query.flagged is False,
        "search": query.search is not None,
    }
    return _QuerySpec(tuple(name for name, on in wanted.items() if on), flagged=query.flagged is True)


def _base(spec: _QuerySpec) -> tuple[FromClause, list[ColumnElement[bool]]]:
    source: Any = Bug.__table__
    if spec.flagged:
        source = source.join(_counts, _counts.c.shown_with == Bug.id)
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
    """Most flagged first in the queue, else newest first; the wide rows only for the page."""
    source, conditions = _base(spec)
    order: list[ColumnElement[Any]] = [Bug.created_at.desc(), Bug.id.desc()]
    if spec.flagged:
        order.insert(0, _counts.c.flag_count.desc())
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
    """A page of bugs, whatever their state, and how many fit."""
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
    """`flag_count` is of all flags that are shown with the bug."""

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
    """Of one bug: how many, and the latest of them, newest first."""

    count: int
    latest: list[FlagOut]


async def _flags_of(reader: Reader, bug_ids: list[UUID]) -> dict[UUID, _Flags]:
    """By bug; one without flags is not in it."""
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


# --- the audit log --------------------------------------------------------------------------------------------------

_AUDIT_FILTERS: dict[str, ColumnElement[bool]] = {
    "action": AuditLog.action == bindparam("action"),
    "resource": AuditLog.resource == bindparam("resource"),
    "resource_id": AuditLog.resource_id == bindparam("resource_id"),
    "user_id": AuditLog.user_id == bindparam("user_id"),
    "since": AuditLog.created_at >= bindparam("since", type_=DateTime(timezone=True)),
    "to": AuditLog.created_at < bindparam("to", type_=DateTime(timezone=True)),
}


class _AuditRow(Row):
    """`username` and `email` are null together with `user_id`."""

    id: UUID
    action: str
    resource: str
    resource_id: UUID
    details: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    ip_address: str | None
    user_agent: str | None
    created_at: datetime
    user_id: UUID | None
    username: str
    email: str


@lru_cache(maxsize=128)
def _audit_queries(filters: tuple[str, ...]) -> tuple[Query[int], Query[_AuditRow]]:
    """How many rows fit, and a page of them, newest first."""
    conditions = [_AUDIT_FILTERS[name] for name in filters]
    total = select(func.count()).select_from(AuditLog).where(*conditions)
    page = (
        select(
            AuditLog.id,
            AuditLog.action,
            AuditLog.resource,
            AuditLog.resource_id,
            AuditLog.details,
            AuditLog.before,
            AuditLog.after,
            AuditLog.ip_address,
            AuditLog.user_agent,
            AuditLog.created_at,
            AuditLog.user_id,
            User.username,
            User.email,
        )
        .outerjoin(User, User.id == AuditLog.user_id)
        .where(*conditions)
        .order_by(AuditLog.created_at.desc(), AuditLog.id.desc())
        .limit(_limit)
        .offset(_offset)
    )
    return Query(total, int), Query(page, _AuditRow)


async def list_audit(reader: Reader, query: AuditQuery) -> tuple[list[AuditEntry], int]:
    """A page of the log, newest first, and how many rows fit."""
    wanted = {
        "action": query.action,
        "resource": query.resource,
        "resource_id": query.resource_id,
        "user_id": query.user_id,
        "since": query.from_,
        "to": query.to,
    }
    values = {name: value for name, value in wanted.items() if value is not None}
    total_query, page_query = _audit_queries(tuple(values))
    total = await reader.row(total_query, values) or 0
    rows = await reader.rows(page_query, values | {"limit": query.limit, "offset": query.offset})
    return [_entry(row) for row in rows], total


def _entry(row: _AuditRow) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        action=row.action,
        resource=row.resource,
        resource_id=row.resource_id,
        details=row.details,
        before=row.before,
        after=row.after,
        ip_address=row.ip_address,
        user_agent=row.user_agent,
        created_at=row.created_at,
        user=AuditUser(row.user_id, row.username, row.email or None) if row.user_id else None,
    )


# --- the dashboard --------------------------------------------------------------------------------------------------


def _count(model: Any, *conditions: ColumnElement[bool]) -> Any:
    return select(func.count()).select_from(model).where(*conditions).scalar_subquery()


_DAY_AGO = literal_column("now() - interval '24 hours'", type_=DateTime(timezone=True))
_STATS = Query(
    select(
        _count(Bug, LISTED).label("total_bugs"),
        _count(Bug, LISTED, Bug.status == "open").label("open_bugs"),
        _count(Bug.__table__.join(_counts, _counts.c.shown_with == Bug.id), LISTED).label("flagged_bugs"),
        _count(Bug, Bug.removed_at.is_not(None)).label("removed_bugs"),
        _count(User, User.erased_at.is_(None)).label("total_users"),
        _count(
            User,
            User.banned_at.is_not(None),
            or_(User.banned_until.is_(None), User.banned_until > func.now()),
        ).label("banned_users"),
        _count(Company).label("total_companies"),
        _count(Company, Company.verified.is_(True)).label("verified_companies"),
        _count(Bug, LISTED, Bug.created_at > _DAY_AGO).label("bugs_24h"),
        # A vote that a merge brought is its source's own vote a second time.
        _count(Vote, Vote.counted.is_(True), Vote.merged_from_id.is_(None), Vote.created_at > _DAY_AGO).label(
            "votes_24h"
        ),
        _count(Comment, COMMENT_SHOWN, Comment.created_at > _DAY_AGO).label("comments_24h"),
    ),
    Stats,
)


async def dashboard_stats(reader: Reader) -> Stats:
    stats = await reader.row(_STATS)
    assert stats is not None  # noqa: S101 - a SELECT of counts has one row
    return stats
