"""What is read of companies and applications with the counts of their bugs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from bugrelay.domain.bugs.schemas import ApplicationRef, BugItem, CompanyRef, UserRef
from bugrelay.infra.pagination import PageQuery
from bugrelay.infra.text.markdown import RenderedHtml
from bugrelay.infra.validation import OneLine

Search = Annotated[str, OneLine, Meta(max_length=255)]


class CompanyQuery(PageQuery, kw_only=True):
    """`GET /companies`."""

    search: Search | None = None
    verified: bool | None = None


class ApplicationQuery(PageQuery, kw_only=True):
    """`GET /applications`."""

    search: Search | None = None
    company_id: UUID | None = None


class BugStats(Struct):
    """Visible bugs by status."""

    total: int = 0
    open: int = 0
    reviewing: int = 0
    fixed: int = 0
    wont_fix: int = 0


class PublicMember(Struct):
    """Who speaks for a verified company."""

    user: UserRef
    role: str


class CompanyItem(Struct, kw_only=True):
    """A company in a list. Of its applications the first hundred by name; the rest is in `GET /applications`."""

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
    """An application; `domain` is null for one that was named without a URL."""

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
    """How fast and how often the company answers; null where there is nothing to take a median or a share of."""

    median_hours_to_first_response: float | None
    median_hours_to_resolution: float | None
    answered_share: float | None


class CompanyDashboard(Struct, kw_only=True):
    """A company's figures for its members.

    `recent_bugs` are the 10 newest; `oldest_unanswered` the 5 oldest that are open or reviewed and have no company
    response; `votes_30d` the counted votes that were cast on its bugs in the last 30 days.
    """

    company: CompanyOut
    user_role: str
    bug_stats: BugStats
    recent_bugs: list[BugItem]
    response_stats: ResponseStats
    votes_30d: int
    oldest_unanswered: list[BugItem]
