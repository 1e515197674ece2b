"""What has happened to companies and applications: facts in the past tense, with ids and values.

`actor_id` is who did it, None for the anonymous, the command line and the clock. All happened at the time of their
transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class CompanyAdded:
    """A report was the first to name something at this domain; nobody has verified the company."""

    company_id: UUID
    domain: str


@dataclass(frozen=True, kw_only=True)
class CompanyEdited:
    """A company's admin changed these fields of its profile."""

    company_id: UUID
    fields: tuple[str, ...]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class ClaimOpened:
    """A user set out to prove control of the domain, by "mail", "dns" or "file"."""

    claim_id: UUID
    company_id: UUID
    method: str
    expires_at: datetime
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class CompanyClaimed:
    """A user proved control of the domain, by "mail", "dns" or "file": they are the company's admin.

    The company is verified by that: `CompanyVerified` tells of it. `starts_new_team` says that they were not on the
    team before, so whatever the former team has set up is none of theirs.
    """

    company_id: UUID
    claim_id: UUID
    method: str
    starts_new_team: bool = False
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class CompanyVerified:
    """The company is what its domain says: its members have rights from now on."""

    company_id: UUID
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class CompanyUnverified:
    """The proof counts no more: the members keep their places and have no rights."""

    company_id: UUID
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class MemberAdded:
    """A user is on the team; unless they count at once, they do when their address is verified."""

    company_id: UUID
    user_id: UUID
    role: str
    counts_at_once: bool
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class InvitationSent:
    """Somebody may belong to the company, in this role, as soon as they accept."""

    company_id: UUID
    invitation_id: UUID
    role: str
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class InvitationWithdrawn:
    """An admin took an invitation back."""

    company_id: UUID
    invitation_id: UUID
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class MemberRoleChanged:
    """Somebody of the company has this role now."""

    company_id: UUID
    user_id: UUID
    role: str
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class MemberActivityChanged:
    """A place in the company is set aside, and gives no rights; or it counts again."""

    company_id: UUID
    user_id: UUID
    role: str
    is_active: bool
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class MemberLeft:
    """A user has no place in the company any more: by their own doing, an admin's, or because a claim began a new team.

    Whose account is erased leaves every team with it, and `AccountErased` alone tells of that.
    """

    company_id: UUID
    user_id: UUID
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class ApplicationAdded:
    """A report was the first to name this application."""

    application_id: UUID
    company_id: UUID | None
    name: str
    domain: str


@dataclass(frozen=True, kw_only=True)
class ApplicationAssigned:
    """The application stands behind another company now, or behind none; its bugs follow.

    `reason` is what a system admin gave, where one was asked for.
    """

    application_id: UUID
    company_id: UUID | None
    former_company_id: UUID | None
    reason: str | None
    actor_id: UUID


CHANGES_NOTHING_PUBLIC: tuple[type, ...] = (ClaimOpened, CompanyClaimed, InvitationSent, InvitationWithdrawn)
"""Facts that no cached response shows."""

WRITES_NO_EVENT: tuple[type, ...] = (
    CompanyAdded,
    CompanyEdited,
    ClaimOpened,
    CompanyClaimed,
    CompanyVerified,
    CompanyUnverified,
    InvitationSent,
    InvitationWithdrawn,
    ApplicationAdded,
    ApplicationAssigned,
)
"""Facts that the event log does not tell of; that bugs follow their application is a fact of the board."""
