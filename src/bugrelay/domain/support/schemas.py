"""What is read of support reports, and what their use cases take."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from bugrelay.domain.tickets.schemas import Priority, TicketUser
from bugrelay.domain.tickets.schemes import SCHEMES
from bugrelay.infra.db.query import Row

SCHEME = SCHEMES["support"]
"""Reports are tickets of projects with this scheme."""


class NewReport(Struct, kw_only=True):
    """A report to make.

    Attributes:
        title: What it is about, in one line.
        description: In Markdown.
        category: A kind of the scheme.
        severity: How bad it is.
        steps_to_reproduce: How it comes about.
        expected_behavior: What should have happened.
        actual_behavior: What happened.
        browser_info: What the browser is.
        page_url: Where it happened, redacted.
        page_title: What the page is called, redacted.
        viewport_size: In the sender's words, as all that follow.
        screen_resolution: Of the whole screen.
    """

    title: str
    description: str
    category: str
    severity: Priority
    steps_to_reproduce: str | None = None
    expected_behavior: str | None = None
    actual_behavior: str | None = None
    browser_info: dict[str, Any] | None = None
    page_url: str | None = None
    page_title: str | None = None
    viewport_size: str | None = None
    screen_resolution: str | None = None


class ReportItem(Row):
    """A report in the list of its reporter."""

    id: UUID
    ticket_number: str
    category: str
    severity: str
    status: str
    title: str
    created_at: datetime


class ReportDetail(Struct, kw_only=True):
    """A report as the company's members see it; of one that came in through the ticket API there is only the ticket."""

    id: UUID
    ticket_number: str
    category: str
    severity: str
    status: str
    title: str
    description: str
    description_html: str
    reporter: TicketUser
    assignees: list[TicketUser]
    resolution_notes: str | None
    internal_notes: str | None
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    steps_to_reproduce: str | None
    expected_behavior: str | None
    actual_behavior: str | None
    browser_info: dict[str, Any] | None
    page_url: str | None
    page_title: str | None
    viewport_size: str | None
    screen_resolution: str | None
    email_sent_at: datetime | None
