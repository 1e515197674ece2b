"""Facts about companies and applications, in the past tense, with ids and values.

`actor_id` is the user who caused the fact; None for anonymous users, the command line and jobs. The time of a fact is
that of its transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class CompanyAdded:
    """A report was the first to name an application at this domain; the company is unverified."""

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
    """A user opened a claim, to prove control of the domain by "mail", "dns" or "file"."""

    claim_id: UUID
    company_id: UUID
    method: str
    expires_at: datetime
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class CompanyClaimed:
    """A user proved control of the domain, by "mail", "dns" or "file", and became the company's admin.

    That also verifies the company, which is the fact `CompanyVerified`. `starts_new_team`: they were not on the team
    before, so they get nothing that the former team had set up.
    """

    company_id: UUID
    claim_id: UUID
    method: str
    starts_new_team: bool = False
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class CompanyVerified:
    """The company's domain is proven: its members have rights from now on."""

    company_id: UUID
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class CompanyUnverified:
    """The company lost its verification: the members keep their memberships, without rights."""

    company_id: UUID
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class MemberAdded:
    """A user became a member, effective at once (`counts_at_once`) or when they verify their address."""

    company_id: UUID
    user_id: UUID
    role: str
    counts_at_once: bool
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class InvitationSent:
    """An address was invited to the company, in this role."""

    company_id: UUID
    invitation_id: UUID
    role: str
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class InvitationWithdrawn:
    """An admin withdrew an invitation."""

    company_id: UUID
    invitation_id: UUID
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class MemberRoleChanged:
    """A member of the company has this role now."""

    company_id: UUID
    user_id: UUID
    role: str
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class MemberActivityChanged:
    """A membership was deactivated, and gives no rights; or it was activated again."""

    company_id: UUID
    user_id: UUID
    role: str
    is_active: bool
    actor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class MemberLeft:
    """A user is no member any more: they left, an admin removed them, or a claim started a new team.

    An erased account leaves all teams; the only fact about that is `AccountErased`.
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
    """The application, with its bugs, belongs to another company now, or to none.

    `reason` is a system admin's, where one was required.
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
"""Facts without an event in the log; that bugs follow their application is a fact of the board."""
