"""SELECTs over several domains about one person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, bindparam, func, select

from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.schemas import Account
from bugrelay.domain.bugs.models import Bug, Comment, Vote
from bugrelay.domain.bugs.repository import VISIBLE
from bugrelay.domain.companies.models import Company, Member
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
from bugrelay.infra.db.database import Query, Reader
from bugrelay.infra.pagination import PageQuery

_ACCOUNT = Query(
    select(*(getattr(User, name) for name in Account.__struct_fields__)).where(
        User.id == bindparam("user_id")
    )
)
_MEMBERSHIPS = Query(
    select(
        Member.id,
        Member.company_id,
        Member.role,
        Member.added_at,
        Company.name,
        Company.domain,
        Company.verified,
    )
    .join(Company, Company.id == Member.company_id)
    .where(Member.user_id == bindparam("user_id"))
    .order_by(Member.added_at, Member.id)
)


async def profile_of(reader: Reader, user_id: UUID) -> Profile:
    """
    Raises:
        InvalidToken: The account is gone.
    """
    row = await reader.row(_ACCOUNT, {"user_id": user_id})
    if row is None:
        raise InvalidToken
    values = dict(zip(Account.__struct_fields__, row, strict=True))
    memberships = [
        Membership(
            member_id,
            company_id,
            role,
            added_at,
            MembershipCompany(company_id, name, domain, verified),
        )
        for member_id, company_id, role, added_at, name, domain, verified in await reader.rows(
            _MEMBERSHIPS, {"user_id": user_id}
        )
    ]
    return Profile(**values, company_memberships=memberships)


_PUBLIC = Query(
    select(
        User.id,
        User.username,
        User.display_name,
        User.avatar_url,
        User.created_at,
        select(func.count()).where(Bug.reporter_id == User.id, VISIBLE).scalar_subquery(),
        select(func.count())
        .select_from(Vote.__table__.join(Bug.__table__, Bug.id == Vote.bug_id))
        .where(Vote.user_id == User.id, Vote.counted, VISIBLE)
        .scalar_subquery(),
        select(func.count())
        .select_from(Comment.__table__.join(Bug.__table__, Bug.id == Comment.bug_id))
        .where(Comment.user_id == User.id, Comment.removed_at.is_(None), VISIBLE)
        .scalar_subquery(),
    ).where(User.id == bindparam("user_id"), User.erased_at.is_(None))
)


async def public_profile(reader: Reader, user_id: UUID) -> PublicProfile | None:
    """None for nobody, and for an account that was erased."""
    row = await reader.row(_PUBLIC, {"user_id": user_id})
    if row is None:
        return None
    found_id, username, display_name, avatar_url, created_at, bug_count, vote_count, comment_count = row
    return PublicProfile(
        id=found_id,
        username=username,
        display_name=display_name,
        avatar_url=avatar_url,
        created_at=created_at,
        bug_count=bug_count,
        vote_count=vote_count,
        comment_count=comment_count,
    )


_limit, _offset = bindparam("limit", type_=Integer), bindparam("offset", type_=Integer)
_my_votes = (
    select(Bug.id, Bug.title, Bug.status, Bug.vote_count, Vote.created_at)
    .join(Vote, Vote.bug_id == Bug.id)
    .where(Vote.user_id == bindparam("user_id"), VISIBLE)
)
_VOTES = Query(_my_votes.order_by(Vote.created_at.desc(), Bug.id.desc()).limit(_limit).offset(_offset))
_VOTE_TOTAL = Query(select(func.count()).select_from(_my_votes.subquery()))


async def votes_of(reader: Reader, user_id: UUID, query: PageQuery) -> tuple[list[MyVote], int]:
    """A page of what the user voted for, latest first, and how many there are."""
    total = await reader.row(_VOTE_TOTAL, {"user_id": user_id})
    rows = await reader.rows(_VOTES, {"user_id": user_id, "limit": query.limit, "offset": query.offset})
    votes = [
        MyVote(BugRef(bug_id, title, status, vote_count), voted_at)
        for bug_id, title, status, vote_count, voted_at in rows
    ]
    return votes, total[0] if total else 0


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
    .where(Comment.user_id == bindparam("user_id"), Comment.removed_at.is_(None), VISIBLE)
)
_COMMENTS = Query(
    _my_comments.order_by(Comment.created_at.desc(), Comment.id.desc()).limit(_limit).offset(_offset)
)
_COMMENT_TOTAL = Query(select(func.count()).select_from(_my_comments.subquery()))


def _my_comment(row: Sequence[Any]) -> MyComment:
    comment_id, content, content_html, is_company_response, created_at, edited_at, *bug = row
    bug_id, title, status, vote_count = bug
    return MyComment(
        id=comment_id,
        content=content,
        content_html=content_html,
        is_company_response=is_company_response,
        created_at=created_at,
        edited_at=edited_at,
        bug=BugRef(bug_id, title, status, vote_count),
    )


async def comments_of(reader: Reader, user_id: UUID, query: PageQuery) -> tuple[list[MyComment], int]:
    """A page of what the user wrote, latest first, and how many there are."""
    total = await reader.row(_COMMENT_TOTAL, {"user_id": user_id})
    rows = await reader.rows(_COMMENTS, {"user_id": user_id, "limit": query.limit, "offset": query.offset})
    return [_my_comment(row) for row in rows], total[0] if total else 0
