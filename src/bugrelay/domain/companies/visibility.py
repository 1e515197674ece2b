"""What a viewer may see of companies: one condition for lists, details and counts.

Companies and applications are public, verified or not. So are the members of a verified company, with name and role.
The team also sees its members' addresses; its admins also see memberships that are not effective yet, and former
members. A claim is visible to its claimant only; the address that it was mailed to is in their data export and nowhere
else.

A viewer's role in a company is their role on the team of a verified company, if their membership is effective; it is
None for everybody else, reporters of the company included.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, and_, or_

from bugrelay.domain.accounts.models import User
from bugrelay.domain.companies.domains import email_domain
from bugrelay.domain.companies.models import ADMIN, REPORTER, Company, CompanyClaim, Member

# Whether a membership is effective, except for the company's verification; for statements that join the user.
EFFECTIVE = and_(
    Member.is_active,
    or_(Member.email_key.is_(None), and_(User.is_email_verified, User.email_key == Member.email_key)),
)
# The company's team; the board ignores reporters.
ON_TEAM = Member.role != REPORTER


def members_visible_to(role: str | None) -> ColumnElement[bool]:
    """Which members of one company a viewer with this role sees; for statements that join the company and the users."""
    return ON_TEAM if role == ADMIN else and_(ON_TEAM, Company.verified, EFFECTIVE)


def sees_effective(role: str | None) -> bool:
    """Whether a member is shown with `effective`."""
    return role == ADMIN


def sees_former_members(role: str | None) -> bool:
    return role == ADMIN


def visible_address_of_former(email: str, *, company_domain: str) -> str | None:
    """The address of a former member, as the team's admins see it: only one at the company's domain.

    The domain may have been sold: its present owner must not learn the private addresses of its former owner's team.
    """
    return email if email_domain(email) == company_domain else None


def claims_visible_to(user_id: UUID | BindParameter[Any]) -> ColumnElement[bool]:
    return CompanyClaim.user_id == user_id
