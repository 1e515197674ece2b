"""What is read of a profile."""

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
        domain: The registrable domain that it is.
        verified: Whether somebody has proven to speak for it.
    """

    id: UUID
    name: str
    domain: str
    verified: bool


class Membership(Struct):
    """That a user belongs to a company.

    Attributes:
        id: The membership's id.
        company_id: The company.
        role: What they may do.
        added_at: When they were added.
    """

    id: UUID
    company_id: UUID
    role: Role
    added_at: datetime
    company: MembershipCompany


class Profile(Account, kw_only=True):
    """An account, as its owner sees it, with the companies it belongs to and what opens it.

    Attributes:
        company_memberships: The companies that it belongs to.
        has_password: Whether a password opens it.
        identities: The identities of providers that open it, the first linked first.
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
    """What everybody may see of a user; counts of what everybody may see.

    Attributes:
        id: The user's id.
        username: The public name.
        display_name: The name to show beside it.
        avatar_url: The address of a picture.
        created_at: When they registered.
        bug_count: Visible bugs that they reported.
        vote_count: Visible bugs that they voted for.
        comment_count: Comments of theirs that are shown.
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
    """A user's profile; what stands below is for members of a tenant that the user belongs to, and for themself.

    Attributes:
        email: The address.
        name: The name to show; the username where they have given none.
        role: What they may do in the tenant, by the name that the ticket API has for it.
        company_role: The same, by ours.
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
        status: How far it is.
        vote_count: How many votes count.
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
        edited_at: When I last corrected it; null where I never did.
    """

    id: UUID
    content: str
    content_html: RenderedHtml
    is_company_response: bool
    created_at: datetime
    edited_at: datetime | None
    bug: BugRef
