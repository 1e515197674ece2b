"""SELECTs of the users of a tenant, in any role."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Text, bindparam, func, or_, select

from bugrelay.domain.accounts.models import User
from bugrelay.domain.companies.models import Member
from bugrelay.domain.companies.schemas import Role, TenantUser
from bugrelay.infra.db.like import contains
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery

_search = func.lower(bindparam("search", type_=Text))
_NAME = func.coalesce(User.display_name, User.username)
_TENANT_USERS = (
    select(
        User.id,
        User.email,
        _NAME.label("name"),
        User.username,
        Member.role,
        User.avatar_url,
        Member.is_active,
        User.created_at,
        User.updated_at,
    )
    .select_from(Member)
    .join(User, User.id == Member.user_id)
    .where(Member.company_id == bindparam("company_id"))
)
_TENANT_USER = Query(_TENANT_USERS.where(Member.user_id == bindparam("user_id")), TenantUser)
_TENANT_USER_FILTERS: dict[str, ColumnElement[bool]] = {
    "role": Member.role == bindparam("role"),
    "is_active": Member.is_active == bindparam("is_active"),
    "search": or_(
        func.lower(_NAME).like(_search), func.lower(User.username).like(_search), User.email_key.like(_search)
    ),
}


@lru_cache
def _tenant_user_queries(filters: tuple[str, ...]) -> tuple[Query[TenantUser], Query[int]]:
    """The queries of a page, the longest-standing first, and of the total."""
    users = _TENANT_USERS.where(*(_TENANT_USER_FILTERS[name] for name in filters))
    page = users.order_by(Member.added_at, Member.id)
    page = page.limit(bindparam("limit", type_=Integer)).offset(bindparam("offset", type_=Integer))
    return Query(page, TenantUser), Query(users.with_only_columns(func.count()), int)


async def list_tenant_users(
    reader: Reader,
    company_id: UUID,
    query: PageQuery,
    *,
    role: str | None,
    is_active: bool | None,
    search: str | None,
) -> tuple[list[TenantUser], int]:
    """A page of the tenant's users, whether or not their memberships are effective, and the total."""
    wanted = {"role": role, "is_active": is_active, "search": None if search is None else contains(search)}
    values: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    page, count = _tenant_user_queries(tuple(values))
    values["company_id"] = company_id
    total = await reader.row(count, values)
    rows = await reader.rows(page, values | {"limit": query.limit, "offset": query.offset})
    return list(rows), total or 0


async def find_tenant_user(reader: Reader, *, company_id: UUID, user_id: UUID) -> TenantUser | None:
    return await reader.row(_TENANT_USER, {"company_id": company_id, "user_id": user_id})


class MembershipState(Row):
    """What a change of a membership depends on; `email_key` is the address that the membership depends on."""

    role: Role
    is_active: bool
    email_key: str | None


_MEMBERSHIP_STATE = Query(
    select(Member.role, Member.is_active, Member.email_key).where(
        Member.company_id == bindparam("company_id"), Member.user_id == bindparam("user_id")
    ),
    MembershipState,
)


async def membership_state(reader: Reader, *, company_id: UUID, user_id: UUID) -> MembershipState | None:
    """A user's membership of a tenant, whether or not it is effective."""
    return await reader.row(_MEMBERSHIP_STATE, {"company_id": company_id, "user_id": user_id})


_MEMBER_AT = Query(
    select(Member.id)
    .join(User, User.id == Member.user_id)
    .where(
        Member.company_id == bindparam("company_id"),
        or_(Member.email_key == bindparam("email_key"), User.email_key == bindparam("email_key")),
    )
    .limit(1),
    UUID,
)


async def has_member_at(reader: Reader, *, company_id: UUID, email_key: str) -> bool:
    """Whether the company has a user with this address, in any role, active or not."""
    return await reader.row(_MEMBER_AT, {"company_id": company_id, "email_key": email_key}) is not None
