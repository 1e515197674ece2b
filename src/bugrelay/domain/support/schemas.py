"""What is read of support reports, and what their use cases take."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from bugrelay.domain.tickets.schemas import Priority, TicketUser
from bugrelay.domain.tickets.schemes import SCHEMES
from bugrelay.infra.db.query import Row
from bugrelay.infra.text.redaction import Redaction

SCHEME = SCHEMES["support"]
"""Reports are tickets of projects with this scheme."""


class BrowserRecord(Struct, kw_only=True):
    """What a product sends along of the browser, as it was sent.

    Attributes:
        console_errors: The newest last, as in the next two.
        api_history: Requests and their answers.
        user_actions: What the person did.
        local_storage_data: Names and values.
        session_storage_data: Names and values.
        browser_info: What the browser is.
        page_url: Where it happened.
        page_title: What the page is called.
        viewport_size: How large the page was shown.
        screen_resolution: How large the screen is.
    """

    console_errors: list[Any] | None = None
    api_history: list[Any] | None = None
    user_actions: list[Any] | None = None
    local_storage_data: dict[str, Any] | None = None
    session_storage_data: dict[str, Any] | None = None
    browser_info: dict[str, Any] | None = None
    page_url: str | None = None
    page_title: str | None = None
    viewport_size: str | None = None
    screen_resolution: str | None = None


class RedactedRecord(Struct, kw_only=True):
    """What is kept of it (service/captures.py).

    Attributes:
        capture: A `Capture` as JSON; None where nothing of it was sent.
        truncated: Whether it is less than was sent.
        redactions: What was taken out: a list of `Redaction`, as JSON.
        browser_info: An object, as JSON.
    """

    capture: str | None
    truncated: bool
    redactions: str
    browser_info: str | None
    page_url: str | None
    page_title: str | None
    viewport_size: str | None
    screen_resolution: str | None


class Capture(Struct, kw_only=True):
    """What a browser had recorded, redacted; None for what was not sent."""

    console_errors: list[Any] | None = None
    api_history: list[Any] | None = None
    user_actions: list[Any] | None = None
    local_storage_data: dict[str, Any] | None = None
    session_storage_data: dict[str, Any] | None = None


class NewReport(Struct, kw_only=True):
    """What a person has typed of a report.

    Attributes:
        title: What it is about, in one line.
        description: In Markdown.
        category: A kind of the scheme.
        severity: How bad it is.
        steps_to_reproduce: How it comes about.
        expected_behavior: What should have happened.
        actual_behavior: What happened.
        screenshot_annotations: What they drew on the screenshot.
        screenshot_name: Of an upload of theirs that the report is to have.
    """

    title: str
    description: str
    category: str
    severity: Priority
    steps_to_reproduce: str | None = None
    expected_behavior: str | None = None
    actual_behavior: str | None = None
    screenshot_annotations: list[Any] | None = None
    screenshot_name: str | None = None


class ScreenshotRef(Struct):
    """The screenshot of a report.

    Attributes:
        id: For links to it.
        name: What it is called.
    """

    id: UUID
    name: str


class StoredScreenshot(Row):
    """Where a screenshot is, and as what it is served."""

    storage_key: str
    mime_type: str


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
    screenshot: ScreenshotRef | None
    screenshot_annotations: list[Any] | None
    capture: Capture | None
    truncated: bool
    redactions: list[Redaction] | None
    email_sent_at: datetime | None
