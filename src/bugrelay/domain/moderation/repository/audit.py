"""SELECTs of the audit log."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Integer,
    bindparam,
    func,
    select,
)

from bugrelay.domain.accounts.models import User
from bugrelay.domain.moderation.models import AuditLog
from bugrelay.domain.moderation.schemas import (
    AuditEntry,
    AuditQuery,
    AuditUser,
)
from bugrelay.infra.db.query import Query, Reader, Row

_limit, _offset = bindparam("limit", type_=Integer), bindparam("offset", type_=Integer)


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
    """A page of the log, newest first, and the total of matching rows."""
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
