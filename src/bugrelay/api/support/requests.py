"""What the support API reads."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from bugrelay.domain.support.schemas import SCHEME, NewReport
from bugrelay.domain.tickets.schemas import Priority, Title
from bugrelay.infra.pagination import DEFAULT_LIMIT, PageLimit, PageNumber, PageQuery
from bugrelay.infra.validation import Check, OneLine


def _one_kind(value: str) -> str:
    if value not in SCHEME.kinds:
        raise ValueError(f"must be one of {', '.join(SCHEME.kinds)}")
    return value


def _one_status(value: str) -> str:
    if value not in SCHEME.statuses:
        raise ValueError(f"must be one of {', '.join(SCHEME.statuses)}")
    return value


Category = Annotated[str, OneLine, Meta(max_length=50), Check(_one_kind)]
ReportStatus = Annotated[str, OneLine, Meta(max_length=50), Check(_one_status)]
Typed = Annotated[str, Meta(max_length=10_000)]


class SendReport(Struct, kw_only=True):
    """`POST /api/support/report`.

    Attributes:
        title: What it is about, in one line.
        description: What there is to say, in Markdown.
        category: `bug`, `feature_request`, `help` or `other`; `bug` where nothing is said.
        severity: How bad it is; `medium` where nothing is said.
        steps_to_reproduce: How it comes about.
        expected_behavior: What should have happened.
        actual_behavior: What happened.
    """

    title: Title
    description: Annotated[str, Meta(min_length=1, max_length=20_000)]
    category: Category | None = None
    severity: Priority | None = None
    steps_to_reproduce: Typed | None = None
    expected_behavior: Typed | None = None
    actual_behavior: Typed | None = None

    def wanted(self) -> NewReport:
        return NewReport(
            title=self.title,
            description=self.description,
            category=self.category or SCHEME.kinds[0],
            severity=self.severity or "medium",
            steps_to_reproduce=self.steps_to_reproduce,
            expected_behavior=self.expected_behavior,
            actual_behavior=self.actual_behavior,
        )


class ListReports(Struct, kw_only=True):
    """`GET /api/support/reports`.

    Attributes:
        page: The page, counted from 1.
        per_page: Rows a page.
        status: Reports with this status.
    """

    page: PageNumber = 1
    per_page: PageLimit = DEFAULT_LIMIT
    status: ReportStatus | None = None

    def wanted(self) -> PageQuery:
        return PageQuery(page=self.page, limit=self.per_page)


class ListReportComments(Struct, kw_only=True):
    """`GET /api/support/report/{ticket_number}/comments`.

    Attributes:
        page: The page, counted from 1.
        per_page: Rows a page.
    """

    page: PageNumber = 1
    per_page: PageLimit = DEFAULT_LIMIT

    def wanted(self) -> PageQuery:
        return PageQuery(page=self.page, limit=self.per_page)
