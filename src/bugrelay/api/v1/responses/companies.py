"""Responses about companies, their teams and applications."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from bugrelay.domain.companies.schemas import FormerColleague, OpenedClaim, TeamMember
from bugrelay.domain.dashboards.schemas import ApplicationOut, CompanyItem, CompanyOut
from bugrelay.http.responses import Message
from bugrelay.infra.pagination import Pagination


class ClaimResponse(Message):
    """A claim that was opened."""

    claim: OpenedClaim


class MemberResponse(Message):
    """A member of a team, as they are now.

    Attributes:
        member: The member.
    """

    member: TeamMember


class MemberList(Struct):
    """A page of a team.

    Attributes:
        members: The members of this page.
        former_members: For the team's admins: the latest hundred of those who were on a team before.
    """

    members: list[TeamMember]
    pagination: Pagination
    former_members: list[FormerColleague] | UnsetType = UNSET


class CompanyResponse(Struct):
    """One company."""

    company: CompanyOut


class CompanyChangedResponse(Message):
    """A company that was changed."""

    company: CompanyOut


class CompanyList(Struct):
    """A page of companies."""

    companies: list[CompanyItem]
    pagination: Pagination


class ApplicationResponse(Struct):
    """One application."""

    application: ApplicationOut


class ApplicationChangedResponse(Message):
    """An application that was changed."""

    application: ApplicationOut


class ApplicationList(Struct):
    """A page of applications."""

    applications: list[ApplicationOut]
    pagination: Pagination
