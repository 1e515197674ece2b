"""SELECTs about one person, across domains."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Integer, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import aggregate_order_by

from bugrelay.domain.accounts.models import Identity, User
from bugrelay.domain.accounts.schemas import Account, LinkedIdentity
from bugrelay.domain.accounts.visibility import EXISTING
from bugrelay.domain.bugs.models import Bug, Comment, Vote
from bugrelay.domain.bugs.schemas import Status
from bugrelay.domain.bugs.visibility import COMMENT_LISTED, LISTED
from bugrelay.domain.companies.models import Company, Member
from bugrelay.domain.companies.schemas import Role
from bugrelay.domain.profiles.schemas import (
    BugRef,
    Membership,
    MembershipCompany,
    MyComment,
    MyVote,
    Profile,
    PublicProfile,
)
from bugrelay.errors import InvalidToken
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery


class _AccountRow(Account):
    """`identities` are objects with the fields of `LinkedIdentity`, as JSON."""

    has_password: bool
    identities: Any


_identity_fields = [
    part for name in LinkedIdentity.__struct_fields__ for part in (name, getattr(Identity, name))
]
_ACCOUNT = Query(
    select(
        *(getattr(User, name) for name in Account.__struct_fields__),
        User.password_hash.is_not(None).label("has_password"),
        select(
            func.coalesce(
                func.jsonb_agg(
                    aggregate_order_by(
                        func.jsonb_build_object(*_identity_fields), Identity.created_at, Identity.id
                    )
                ),
                text("'[]'"),
            )
        )
        .where(Identity.user_id == User.id)
        .scalar_subquery()
        .label("identities"),
    ).where(User.id == bindparam("user_id")),
    _AccountRow,
)


class _MembershipRow(Row):
    id: UUID
    company_id: UUID
    role: Role
    added_at: datetime
    company_name: str
    company_domain: str
    company_verified: bool


_MEMBERSHIPS = Query(
    select(
        Member.id,
        Member.company_id,
        Member.role,
        Member.added_at,
        Company.name.label("company_name"),
        Company.domain.label("company_domain"),
        Company.verified.label("company_verified"),
    )
    .join(Company, Company.id == Member.company_id)
    .where(Member.user_id == bindparam("user_id"), Member.is_active)
    .order_by(Member.added_at, Member.id),
    _MembershipRow,
)


async def profile_of(reader: Reader, user_id: UUID) -> Profile:
    """The account as its owner sees it, with memberships and identities.

    Raises:
        InvalidToken: The account does not exist any more.
    """
    account = await reader.row(_ACCOUNT, {"user_id": user_id})
    if account is None:
        raise InvalidToken
    rows = await reader.rows(_MEMBERSHIPS, {"user_id": user_id})
    known = asdict(account) | {"identities": msgspec.convert(account.identities, list[LinkedIdentity])}
    return Profile(**known, company_memberships=[_membership(row) for row in rows])


def _membership(row: _MembershipRow) -> Membership:
    company = MembershipCompany(row.company_id, row.company_name, row.company_domain, row.company_verified)
    return Membership(row.id, row.company_id, row.role, row.added_at, company)


_PUBLIC = Query(
    select(
        User.id,
        User.username,
        User.display_name,
        User.avatar_url,
        User.created_at,
        select(func.count()).where(Bug.reporter_id == User.id, LISTED).scalar_subquery().label("bug_count"),
        select(func.count())
        .select_from(Vote.__table__.join(Bug.__table__, Bug.id == Vote.bug_id))
        .where(Vote.user_id == User.id, Vote.counted, LISTED)
        .scalar_subquery()
        .label("vote_count"),
        select(func.count())
        .select_from(Comment.__table__.join(Bug.__table__, Bug.id == Comment.bug_id))
        .where(Comment.user_id == User.id, COMMENT_LISTED)
        .scalar_subquery()
        .label("comment_count"),
    ).where(User.id == bindparam("user_id"), EXISTING),
    PublicProfile,
)


async def public_profile(reader: Reader, user_id: UUID) -> PublicProfile | None:
    """The public profile of a user; None if there is none, or the account was erased."""
    return await reader.row(_PUBLIC, {"user_id": user_id})


_limit, _offset = bindparam("limit", type_=Integer), bindparam("offset", type_=Integer)


class _VoteRow(Row):
    """A vote; all columns but `voted_at` are the bug's."""

    id: UUID
    title: str
    status: Status
    vote_count: int
    voted_at: datetime


class _CommentRow(Row):
    """A comment; the columns from `bug_id` on are the bug's."""

    id: UUID
    content: str
    content_html: str
    is_company_response: bool
    created_at: datetime
    edited_at: datetime | None
    bug_id: UUID
    title: str
    status: Status
    vote_count: int


_my_votes = (
    select(Bug.id, Bug.title, Bug.status, Bug.vote_count, Vote.created_at.label("voted_at"))
    .join(Vote, Vote.bug_id == Bug.id)
    .where(Vote.user_id == bindparam("user_id"), LISTED)
)
_VOTES = Query(
    _my_votes.order_by(Vote.created_at.desc(), Bug.id.desc()).limit(_limit).offset(_offset), _VoteRow
)
_VOTE_TOTAL = Query(select(func.count()).select_from(_my_votes.subquery()), int)


async def votes_of(reader: Reader, user_id: UUID, query: PageQuery) -> tuple[list[MyVote], int]:
    """A page of the user's votes for listed bugs, newest first, and their total."""
    total = await reader.row(_VOTE_TOTAL, {"user_id": user_id}) or 0
    rows = await reader.rows(_VOTES, {"user_id": user_id, "limit": query.limit, "offset": query.offset})
    return [
        MyVote(BugRef(row.id, row.title, row.status, row.vote_count), row.voted_at) for row in rows
    ], total


_my_comments = (
    select(
        Comment.id,
        Comment.content,
        Comment.content_html,
        Comment.is_company_response,
        Comment.created_at,
        Comment.edited_at,
        Bug.id.label("bug_id"),
        Bug.title,
        Bug.status,
        Bug.vote_count,
    )
    .join(Bug, Bug.id == Comment.bug_id)
    .where(Comment.user_id == bindparam("user_id"), COMMENT_LISTED)
)
_COMMENTS = Query(
    _my_comments.order_by(Comment.created_at.desc(), Comment.id.desc()).limit(_limit).offset(_offset),
    _CommentRow,
)
_COMMENT_TOTAL = Query(select(func.count()).select_from(_my_comments.subquery()), int)


def _my_comment(row: _CommentRow) -> MyComment:
    return MyComment(
        id=row.id,
        content=row.content,
        content_html=row.content_html,
        is_company_response=row.is_company_response,
        created_at=row.created_at,
        edited_at=row.edited_at,
        bug=BugRef(row.bug_id, row.title, row.status, row.vote_count),
    )


async def comments_of(reader: Reader, user_id: UUID, query: PageQuery) -> tuple[list[MyComment], int]:
    """A page of the user's listed comments, newest first, and their total."""
    total = await reader.row(_COMMENT_TOTAL, {"user_id": user_id}) or 0
    rows = await reader.rows(_COMMENTS, {"user_id": user_id, "limit": query.limit, "offset": query.offset})
    return [_my_comment(row) for row in rows], total
