"""What is read of claims, teams and profiles of companies, and what their use cases take."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from bugrelay.infra.db.query import Row
from bugrelay.infra.validation import Check, OneLine, Verbatim, email_address, web_address

Role = Literal["admin", "member"]
Email = Annotated[str, OneLine, Meta(max_length=254), Check(email_address)]


class CompanyState(Row):
    """What rules about a company depend on."""

    id: UUID
    domain: str
    verified: bool


class ApplicationState(Row):
    """What rules about an application depend on; `domain` is '' for one without a URL."""

    id: UUID
    domain: str
    company_id: UUID | None


class ClaimCompany(Struct, kw_only=True):
    """`POST /companies/{id}/claim`. With an address the method is "mail"."""

    email: Email | None = None
    method: Literal["mail", "dns", "file"] | None = None


class VerifyCompany(Struct, kw_only=True):
    """`POST /companies/{id}/verify`: the token of a mail, or the method whose published proof is to be looked for."""

    token: Annotated[str, Verbatim] | None = None
    method: Literal["dns", "file"] | None = None


class AddMember(Struct, kw_only=True):
    """`POST /companies/{id}/members`."""

    email: Email
    role: Role


class ChangeRole(Struct):
    """`PATCH /companies/{id}/members/{user_id}`."""

    role: Role


class RemoveMember(Struct):
    """`DELETE /companies/{id}/members`."""

    user_id: UUID


class ChangeCompany(Struct, kw_only=True):
    """`PATCH /companies/{id}`: what is absent stays as it is; without a name it is named by its domain again."""

    name: Annotated[str, OneLine, Meta(min_length=1, max_length=255)] | UnsetType | None = UNSET
    url: Annotated[str, OneLine, Meta(max_length=500), Check(web_address)] | UnsetType | None = UNSET
    description: Annotated[str, Meta(max_length=5000)] | UnsetType | None = UNSET


class Publication(Struct, kw_only=True):
    """Where a proof is published, and what has to stand there."""

    kind: Literal["TXT record", "file"]
    place: str
    content: str


class OpenedClaim(Struct, kw_only=True):
    """A claim, as its claimant is told of it; `publish` is null for one that went out by mail."""

    id: UUID
    company_id: UUID
    method: str
    expires_at: datetime
    publish: Publication | None


class TeamUser(Struct):
    """A colleague, as members see them."""

    id: UUID
    username: str
    email: str


class TeamMember(Struct, kw_only=True):
    id: UUID
    company_id: UUID
    user_id: UUID
    role: str
    added_at: datetime
    user: TeamUser
    effective: bool | UnsetType = UNSET
    """For the team's admins: whether the member has their rights, or has to verify their address first."""


class FormerTeamUser(Struct):
    """`email` is null where it is not at the company's domain."""

    id: UUID
    username: str
    email: str | None


class FormerColleague(Struct, kw_only=True):
    """Who was on a team before this one, until `ended_at`; they have no rights."""

    user_id: UUID
    role: str
    added_at: datetime
    ended_at: datetime
    user: FormerTeamUser
