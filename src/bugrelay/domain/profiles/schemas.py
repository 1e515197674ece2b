"""Profiles, and the request to erase an account."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from bugrelay.domain.accounts.schemas import Account, LinkedIdentity, Secret
from bugrelay.domain.bugs.schemas import Status
from bugrelay.domain.companies.schemas import Role, RoleName
from bugrelay.infra.text.markdown import RenderedHtml


class MembershipCompany(Struct):
    """The company of a membership.

    Attributes:
        id: The company's id.
        name: Its name.
        domain: The registrable domain that identifies it.
        verified: Whether it is verified.
    """

    id: UUID
    name: str
    domain: str
    verified: bool


class Membership(Struct):
    """A user's membership of a company.

    Attributes:
        id: The membership's id.
        company_id: The company.
        role: The role in the company.
        added_at: When they were added.
    """

    id: UUID
    company_id: UUID
    role: Role
    added_at: datetime
    company: MembershipCompany


class Profile(Account, kw_only=True):
    """An account as its owner sees it, with its companies and ways to sign in.

    Attributes:
        company_memberships: The companies that it belongs to.
        has_password: Whether one can sign in with a password.
        identities: The linked identities of providers, in the order in which they were linked.
    """

    company_memberships: list[Membership]
    has_password: bool
    identities: list[LinkedIdentity]


class EraseAccount(Struct):
    """`DELETE /users/me`.

    Attributes:
        password: The password, exactly as typed.
    """

    password: Secret


class PublicProfile(Struct):
    """The public profile of a user; counts include public content only.

    Attributes:
        id: The user's id.
        username: The public name.
        display_name: The name to show beside it.
        avatar_url: The URL of a picture.
        created_at: When they registered.
        bug_count: The number of listed bugs that they reported.
        vote_count: The number of listed bugs that they voted for.
        comment_count: The number of their listed comments.
    """

    id: UUID
    username: str
    display_name: str | None
    avatar_url: str | None
    created_at: datetime
    bug_count: int
    vote_count: int
    comment_count: int


class UserProfile(PublicProfile, kw_only=True):
    """A user's profile; the attributes below are shown to the user and to members of a tenant that they belong to.

    Attributes:
        email: The address.
        name: The display name; the username if there is none.
        role: The role in the tenant, by its name in the ticket API.
        company_role: The same, by our name.
        is_active: Whether they have rights in the tenant.
        updated_at: When they last changed their account.
    """

    email: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    role: RoleName | UnsetType = UNSET
    company_role: Role | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    updated_at: datetime | UnsetType = UNSET


class BugRef(Struct):
    """A bug that something is about.

    Attributes:
        id: The bug's id.
        title: What is wrong, in one line.
        status: The status.
        vote_count: The number of counted votes.
    """

    id: UUID
    title: str
    status: Status
    vote_count: int


class MyVote(Struct):
    """A vote of mine.

    Attributes:
        voted_at: When I voted.
    """

    bug: BugRef
    voted_at: datetime


class MyComment(Struct):
    """A comment of mine.

    Attributes:
        id: The comment's id.
        content: The comment in Markdown, as it was typed.
        content_html: The same as safe HTML.
        is_company_response: Whether it is the company's official response.
        created_at: When it was written.
        edited_at: When I last edited it; null if never.
    """

    id: UUID
    content: str
    content_html: RenderedHtml
    is_company_response: bool
    created_at: datetime
    edited_at: datetime | None
    bug: BugRef
