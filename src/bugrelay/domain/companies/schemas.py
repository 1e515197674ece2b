"""Structs of claims, teams, tenants and profiles of companies: results of reads, and arguments of use cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from bugrelay.domain.accounts.schemas import DisplayName, WebAddress
from bugrelay.infra.db.query import Row
from bugrelay.infra.pagination import PageQuery
from bugrelay.infra.validation import Check, OneLine, Verbatim, email_address, web_address

TeamRole = Literal["admin", "member"]
Role = Literal["admin", "member", "reporter"]
RoleName = Literal["admin", "member", "reporter", "manager", "user", "ADMIN", "MAINTAINER", "REPORTER"]
Email = Annotated[str, OneLine, Meta(max_length=254), Check(email_address)]


class CompanyState(Row):
    """What policies for a company depend on."""

    id: UUID
    domain: str
    verified: bool


class TenantMembership(Row):
    """A user's effective membership of a verified company."""

    company_id: UUID
    role: Role


@dataclass(frozen=True)
class Tenant:
    """A verified company, and the caller: an effective member of it, in this role."""

    company_id: UUID
    user_id: UUID
    role: Role

    @property
    def actor_id(self) -> UUID | None:
        """The user to record as the actor."""
        return self.user_id


@dataclass(frozen=True)
class Automation(Tenant):
    """A workflow rule or an integration that acts on a verified company's tickets.

    It sees all tickets and has the rights of a member. Its changes have no actor; their cause is recorded instead
    (`infra/events.py`).
    """

    user_id: UUID = field(default=UUID(int=0), init=False)
    role: Role = field(default="member", init=False)

    @property
    def actor_id(self) -> None:
        return None


class TenantUserQuery(PageQuery, kw_only=True):
    """`GET /users`.

    Attributes:
        role: Only users in this role, by any of its names.
        is_active: Only users who are active, or who are not.
        search: A part of the name, the username or the address.
    """

    role: RoleName | None = None
    is_active: bool | None = None
    search: Annotated[str, OneLine, Meta(max_length=100)] | None = None


class AddTenantUser(Struct, kw_only=True):
    """`POST /users`.

    Attributes:
        email: The address of the user to add or invite.
        role: The role to give, by any of its names.
    """

    email: Email
    role: RoleName


class AcceptInvitation(Struct):
    """`POST /invitations/accept`.

    Attributes:
        token: The token of the mailed link.
    """

    token: Annotated[str, Verbatim]


class OpenInvitation(Row):
    """An invitation that can be accepted, with its sender.

    Attributes:
        id: The invitation's id.
        email: The address that it was mailed to.
        role: The role that it gives.
        created_at: When it was sent.
        expires_at: Until when it can be accepted.
        inviter_id: The user who sent it.
        inviter_username: Their public name.
        company_id: The company.
        domain: The company's domain.
    """

    id: UUID
    email: str
    email_key: str
    role: Role
    created_at: datetime
    expires_at: datetime
    inviter_id: UUID
    inviter_username: str
    company_id: UUID
    domain: str


class ChangeTenantUser(Struct, kw_only=True):
    """`PUT /users/{id}`: what is absent stays as it is.

    Attributes:
        name: The name to show beside the username; one's own alone.
        avatar_url: The address of a picture; one's own alone.
        role: The role in the tenant, by any of its names; for the company's admins.
        is_active: Whether the user has rights in the tenant; for the company's admins.
    """

    name: DisplayName | UnsetType | None = UNSET
    avatar_url: WebAddress | UnsetType | None = UNSET
    role: RoleName | None = None
    is_active: bool | None = None


class TenantUser(Row):
    """A user of a tenant, as its members see them.

    Attributes:
        id: The user's id.
        email: The address.
        name: The display name, or the username if there is none.
        username: The public name.
        role: What they may do in the tenant.
        avatar_url: The address of a picture.
        is_active: Whether they have rights in the tenant.
        created_at: When they registered.
        updated_at: When they last changed their account.
    """

    id: UUID
    email: str
    name: str
    username: str
    role: Role
    avatar_url: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


class ApplicationState(Row):
    """What policies for an application depend on; `domain` is '' for an application without a URL."""

    id: UUID
    domain: str
    company_id: UUID | None


class ClaimCompany(Struct, kw_only=True):
    """`POST /companies/{id}/claim`.

    Attributes:
        email: An address at exactly the company's domain, to which the token is mailed; the method is then `mail`.
        method: How control of the domain will be proven.
    """

    email: Email | None = None
    method: Literal["mail", "dns", "file"] | None = None


class VerifyCompany(Struct, kw_only=True):
    """`POST /companies/{id}/verify`.

    Attributes:
        token: The token from the mail.
        method: The method whose published proof is to be checked.
    """

    token: Annotated[str, Verbatim] | None = None
    method: Literal["dns", "file"] | None = None


class AddMember(Struct, kw_only=True):
    """`POST /companies/{id}/members`.

    Attributes:
        email: The address of a registered user.
        role: The role to give.
    """

    email: Email
    role: TeamRole


class ChangeRole(Struct):
    """`PATCH /companies/{id}/members/{user_id}`.

    Attributes:
        role: The role to give.
    """

    role: TeamRole


class RemoveMember(Struct):
    """`DELETE /companies/{id}/members`.

    Attributes:
        user_id: The user to remove from the team.
    """

    user_id: UUID


class ChangeCompany(Struct, kw_only=True):
    """`PATCH /companies/{id}`: absent fields stay unchanged.

    Attributes:
        name: The name; null resets it to the domain.
        url: The address of its website.
        description: A description in Markdown.
    """

    name: Annotated[str, OneLine, Meta(min_length=1, max_length=255)] | UnsetType | None = UNSET
    url: Annotated[str, OneLine, Meta(max_length=500), Check(web_address)] | UnsetType | None = UNSET
    description: Annotated[str, Meta(max_length=5000)] | UnsetType | None = UNSET


class Publication(Struct, kw_only=True):
    """The proof that a claimant has to publish.

    Attributes:
        kind: What to publish.
        place: Where to publish it: the domain, or the address of the file.
        content: The content of the record or the file.
    """

    kind: Literal["TXT record", "file"]
    place: str
    content: str


class OpenedClaim(Struct, kw_only=True):
    """A claim, as its claimant sees it.

    Attributes:
        id: The claim's id.
        company_id: The company that is claimed.
        method: How control of the domain is proven.
        expires_at: When the claim expires.
        publish: What to publish; null for a claim by mail.
    """

    id: UUID
    company_id: UUID
    method: str
    expires_at: datetime
    publish: Publication | None


class TeamUser(Struct):
    """A colleague, as members see them.

    Attributes:
        id: The user's id.
        username: The public name.
        email: The address.
    """

    id: UUID
    username: str
    email: str


class TeamMember(Struct, kw_only=True):
    """A member of a team.

    Attributes:
        id: The membership's id.
        company_id: The company.
        user_id: The user.
        role: What they may do.
        added_at: When they were added.
        effective: Shown to the team's admins: whether the member has rights, or must verify their address first.
    """

    id: UUID
    company_id: UUID
    user_id: UUID
    role: TeamRole
    added_at: datetime
    user: TeamUser
    effective: bool | UnsetType = UNSET


class FormerTeamUser(Struct):
    """The user of a former membership.

    Attributes:
        id: The user's id.
        username: The public name.
        email: The address; null where it is not at the company's domain.
    """

    id: UUID
    username: str
    email: str | None


class FormerColleague(Struct, kw_only=True):
    """A member of a former team; they have no rights.

    Attributes:
        user_id: The user.
        role: What they could do.
        added_at: When they were added.
        ended_at: When that team ended.
    """

    user_id: UUID
    role: TeamRole
    added_at: datetime
    ended_at: datetime
    user: FormerTeamUser
