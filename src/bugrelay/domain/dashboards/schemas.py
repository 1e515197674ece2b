"""Queries and results for companies and applications with the counts of their bugs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from bugrelay.domain.bugs.schemas import ApplicationRef, BugItem, CompanyRef, UserRef
from bugrelay.domain.companies.schemas import TeamRole
from bugrelay.infra.pagination import PageQuery
from bugrelay.infra.text.markdown import RenderedHtml
from bugrelay.infra.validation import OneLine

Search = Annotated[str, OneLine, Meta(max_length=255)]


class CompanyQuery(PageQuery, kw_only=True):
    """`GET /companies`.

    Attributes:
        search: A part of the name or the domain.
        verified: True for verified companies only, false for the others only.
    """

    search: Search | None = None
    verified: bool | None = None


class ApplicationQuery(PageQuery, kw_only=True):
    """`GET /applications`.

    Attributes:
        search: A part of the name.
        company_id: Applications of this company.
    """

    search: Search | None = None
    company_id: UUID | None = None


class BugStats(Struct):
    """Counts of listed bugs by status.

    Attributes:
        total: All of them.
        open: Those that are open.
        reviewing: Those under review.
        fixed: Those that are fixed.
        wont_fix: Those that will not be fixed.
    """

    total: int = 0
    open: int = 0
    reviewing: int = 0
    fixed: int = 0
    wont_fix: int = 0


class PublicMember(Struct):
    """A member of a verified company.

    Attributes:
        role: The role in the company.
    """

    user: UserRef
    role: TeamRole


class CompanyItem(Struct, kw_only=True):
    """A company in a list.

    Attributes:
        id: The company's id.
        name: Its name.
        domain: The registrable domain that identifies it.
        verified: Whether it is verified.
        verified_at: When it was verified.
        url: The URL of its website.
        description: Its description of itself, in Markdown, as it was typed.
        description_html: The same as safe HTML.
        created_at: When it was first named.
        updated_at: When it was last changed.
        applications: The first hundred applications by name; `GET /applications` lists all.
    """

    id: UUID
    name: str
    domain: str
    verified: bool
    verified_at: datetime | None
    url: str | None
    description: str | None
    description_html: RenderedHtml | None
    created_at: datetime
    updated_at: datetime
    applications: list[ApplicationRef]
    bug_stats: BugStats


class CompanyOut(CompanyItem, kw_only=True):
    """One company; its members are public while it is verified."""

    members: list[PublicMember]


class ApplicationOut(Struct, kw_only=True):
    """An application.

    Attributes:
        id: The application's id.
        name: Its name.
        url: Its URL, if known.
        domain: The registrable domain of its URL; null for an application without one.
        company_id: Its company, if any.
        created_at: When it was first named.
        updated_at: When it was last changed.
    """

    id: UUID
    name: str
    url: str | None
    domain: str | None
    company_id: UUID | None
    company: CompanyRef | None
    created_at: datetime
    updated_at: datetime
    bug_stats: BugStats


class ResponseStats(Struct):
    """How fast and how often a company responds.

    Attributes:
        median_hours_to_first_response: Median hours from report to first official response; null without any.
        median_hours_to_resolution: Median hours from report to resolution; null without any.
        answered_share: The share of bugs that have an official response, from 0 to 1; null without bugs.
    """

    median_hours_to_first_response: float | None
    median_hours_to_resolution: float | None
    answered_share: float | None


class CompanyDashboard(Struct, kw_only=True):
    """A company's dashboard for its members.

    Attributes:
        user_role: The viewer's role.
        recent_bugs: The ten newest bugs.
        votes_30d: Counted votes that were cast on its bugs in the last 30 days.
        oldest_unanswered: The five oldest bugs that are open or reviewed and have no official response.
    """

    company: CompanyOut
    user_role: str
    bug_stats: BugStats
    recent_bugs: list[BugItem]
    response_stats: ResponseStats
    votes_30d: int
    oldest_unanswered: list[BugItem]
