"""Structs of support reports: rows, arguments and results of use cases."""

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
    """What a product sends about the browser, before redaction.

    Attributes:
        console_errors: Errors of the console, newest last.
        api_history: Requests and their responses, newest last.
        user_actions: Clicks and inputs of the person, newest last.
        local_storage_data: Names and values of the local storage.
        session_storage_data: Names and values of the session storage.
        browser_info: Name, version, platform and more, as the product reports it.
        page_url: The page's URL.
        page_title: The page's title.
        viewport_size: Width and height of the viewport.
        screen_resolution: Width and height of the screen.
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
    """What is stored of it (service/captures.py).

    Attributes:
        capture: A `Capture` as JSON; None where nothing of it was sent.
        truncated: Whether something was left out.
        redactions: A list of `Redaction`, as JSON.
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
    """The typed part of a report.

    Attributes:
        title: A summary in one line.
        description: The description, in Markdown.
        category: A kind of the scheme.
        severity: The priority of the ticket.
        steps_to_reproduce: How to reproduce the problem.
        expected_behavior: What should have happened.
        actual_behavior: What happened.
        screenshot_annotations: Drawings on the screenshot.
        screenshot_name: The name of an upload to use as the screenshot.
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
        id: The screenshot's id, for signed links.
        name: Its public name.
    """

    id: UUID
    name: str


class StoredScreenshot(Row):
    """Where a screenshot is stored, and its media type."""

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
    """A report as the company's members see it; a ticket that was created by the ticket API has no capture."""

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
