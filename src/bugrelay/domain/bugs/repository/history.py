"""SELECTs of a bug's history: status changes, edits and merges."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import Integer, Text, Uuid, bindparam, cast, func, literal, null, or_, select, union_all

from bugrelay.domain.accounts.models import User
from bugrelay.domain.bugs.models import BugEdit, BugMerge, StatusChange
from bugrelay.domain.bugs.schemas import HistoryCompany, HistoryEntry, Status, UserRef
from bugrelay.domain.companies.models import Company
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery

_changes = select(
    StatusChange.id,
    StatusChange.at,
    literal("status").label("kind"),
    StatusChange.user_id,
    StatusChange.company_id,
    StatusChange.from_status,
    StatusChange.to_status,
    cast(null(), Text).label("before"),
    cast(null(), Uuid).label("source_bug_id"),
    cast(null(), Uuid).label("target_bug_id"),
).where(StatusChange.bug_id == bindparam("bug_id"))
_edits = select(
    BugEdit.id,
    BugEdit.at,
    literal("edit"),
    BugEdit.user_id,
    cast(null(), Uuid),
    cast(null(), Text),
    cast(null(), Text),
    BugEdit.before,
    cast(null(), Uuid),
    cast(null(), Uuid),
).where(BugEdit.bug_id == bindparam("bug_id"))
_merges = select(
    BugMerge.id,
    BugMerge.at,
    BugMerge.kind,
    BugMerge.user_id,
    cast(null(), Uuid),
    cast(null(), Text),
    cast(null(), Text),
    cast(null(), Text),
    BugMerge.source_bug_id,
    BugMerge.target_bug_id,
).where(or_(BugMerge.source_bug_id == bindparam("bug_id"), BugMerge.target_bug_id == bindparam("bug_id")))
_history = union_all(_changes, _edits, _merges).subquery("history")


class _HistoryRow(Row):
    """An entry; columns that its kind does not have are null, and so are names whose ids are."""

    id: UUID
    at: datetime
    kind: Literal["status", "edit", "merge", "unmerge"]
    user_id: UUID | None
    username: str
    company_id: UUID | None
    company_name: str
    from_status: Status
    to_status: Status
    before: str
    source_bug_id: UUID
    target_bug_id: UUID


_HISTORY = Query(
    select(
        _history.c.id,
        _history.c.at,
        _history.c.kind,
        _history.c.user_id,
        User.username,
        _history.c.company_id,
        Company.name.label("company_name"),
        _history.c.from_status,
        _history.c.to_status,
        _history.c.before,
        _history.c.source_bug_id,
        _history.c.target_bug_id,
    )
    .outerjoin(User, User.id == _history.c.user_id)
    .outerjoin(Company, Company.id == _history.c.company_id)
    .order_by(_history.c.at, _history.c.id)
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer)),
    _HistoryRow,
)
_HISTORY_TOTAL = Query(select(func.count()).select_from(_history), int)


def _entry_of(row: _HistoryRow) -> HistoryEntry:
    entry = HistoryEntry(
        id=row.id,
        kind=row.kind,
        at=row.at,
        user=UserRef(row.user_id, row.username) if row.user_id else None,
        company=HistoryCompany(row.company_id, row.company_name) if row.company_id else None,
    )
    if row.kind == "status":
        entry.from_status, entry.to_status = row.from_status, row.to_status
    if row.kind in ("merge", "unmerge"):
        entry.source_bug_id, entry.target_bug_id = row.source_bug_id, row.target_bug_id
    if row.kind == "edit":
        entry.before = msgspec.json.decode(row.before)
    return entry


async def list_history(reader: Reader, bug_id: UUID, query: PageQuery) -> tuple[list[HistoryEntry], int]:
    """A page of a bug's history, oldest first, and its total; the caller has checked that the bug is visible."""
    total = await reader.row(_HISTORY_TOTAL, {"bug_id": bug_id}) or 0
    rows = await reader.rows(_HISTORY, {"bug_id": bug_id, "limit": query.limit, "offset": query.offset})
    return [_entry_of(row) for row in rows], total
