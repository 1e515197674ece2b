"""What is read of a profile."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from bugrelay.domain.accounts.schemas import Account, Secret
from bugrelay.infra.text.markdown import RenderedHtml


class MembershipCompany(Struct):
    id: UUID
    name: str
    domain: str
    verified: bool


class Membership(Struct):
    id: UUID
    company_id: UUID
    role: str
    added_at: datetime
    company: MembershipCompany


class Profile(Account, kw_only=True):
    """An account, as its owner sees it, with the companies it belongs to."""

    company_memberships: list[Membership]


class EraseAccount(Struct):
    """`DELETE /users/me`."""

    password: Secret


class PublicProfile(Struct):
    """What everybody may see of a user; counts of what everybody may see."""

    id: UUID
    username: str
    display_name: str | None
    avatar_url: str | None
    created_at: datetime
    bug_count: int
    vote_count: int
    comment_count: int


class BugRef(Struct):
    id: UUID
    title: str
    status: str
    vote_count: int


class MyVote(Struct):
    bug: BugRef
    voted_at: datetime


class MyComment(Struct):
    id: UUID
    content: str
    content_html: RenderedHtml
    is_company_response: bool
    created_at: datetime
    edited_at: datetime | None
    bug: BugRef
