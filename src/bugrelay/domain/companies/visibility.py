"""What of companies a viewer may see: the one statement for lists, details and counts.

Companies and applications are everybody's to see, verified or not. So are the members of a verified company, by name
and role. Who belongs to the team sees its addresses; its admins also see who does not count yet, and who was on teams
before. A claim is its claimant's alone; the address that it was mailed to is in no answer, but in their export.

A viewer's role in a company is one on the team of a verified company, where their membership counts; None for everybody
else, a reporter of the company's too.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, and_, or_

from bugrelay.domain.accounts.models import User
from bugrelay.domain.companies.domains import email_domain
from bugrelay.domain.companies.models import ADMIN, REPORTER, Company, CompanyClaim, Member

# Whether a membership counts, but for the company's own verification; of statements that join the user.
EFFECTIVE = and_(
    Member.is_active,
    or_(Member.email_key.is_(None), and_(User.is_email_verified, User.email_key == Member.email_key)),
)
# The company's team, whom alone the board knows: without those who only report to the company.
ON_TEAM = Member.role != REPORTER


def members_visible_to(role: str | None) -> ColumnElement[bool]:
    """Of the members of one company, in a statement that joins the company and the users."""
    return ON_TEAM if role == ADMIN else and_(ON_TEAM, Company.verified, EFFECTIVE)


def sees_who_counts(role: str | None) -> bool:
    """Whether a member is shown with `effective`."""
    return role == ADMIN


def sees_former_members(role: str | None) -> bool:
    return role == ADMIN


def visible_address_of_former(email: str, *, company_domain: str) -> str | None:
    """The address of a former member, for the team's admins.

    Who holds the domain today may be a stranger to those who held it before: they are told what is at the domain
    itself.
    """
    return email if email_domain(email) == company_domain else None


def claims_visible_to(user_id: UUID | BindParameter[Any]) -> ColumnElement[bool]:
    return CompanyClaim.user_id == user_id
