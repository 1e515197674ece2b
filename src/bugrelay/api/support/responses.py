"""Responses of the support API, each with `"success": true`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.github.schemas import GitHubSync, SyncStatus
from bugrelay.domain.support.schemas import Capture, ReportDetail, ReportItem
from bugrelay.domain.tickets.schemas import CommentDetail, TicketDetail
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.infra.pagination import PageQuery
from bugrelay.infra.text.markdown import RenderedHtml

SCREENSHOTS = "screenshots/"
"""The prefix of a `screenshot_path`, before the name of the screenshot."""


class Success(Struct, kw_only=True):
    """A response of the support API.

    Attributes:
        success: True.
    """

    success: bool = True


class SupportPage(Struct):
    """The pagination of a list. A page past the end is empty, with the true total.

    Attributes:
        page: This page, from 1.
        per_page: The number of rows of a page.
        total: The number of rows of all pages.
        pages: The number of pages.
    """

    page: int
    per_page: int
    total: int
    pages: int

    @classmethod
    def of(cls, query: PageQuery, total: int) -> SupportPage:
        return cls(query.page, query.limit, total, -(-total // query.limit))


# --- a new report -----------------------------------------------------------------------------------------------------


class SentReport(Struct):
    """A report that was created.

    Attributes:
        id: The id of its ticket.
        status: The status.
        github_sync_status: `pending` where a GitHub issue will follow; null where the company is not connected.
    """

    id: UUID
    status: str
    github_sync_status: SyncStatus | None


class ReportSent(Success, kw_only=True):
    """The response of `POST /api/support/report`.

    Attributes:
        ticket_number: The number of the report, for requests.
        message: A sentence for people.
        report: The report.
    """

    ticket_number: str
    message: str = "Your issue has been reported successfully"
    report: SentReport

    @classmethod
    def of(cls, ticket: TicketDetail, sync: GitHubSync | None) -> ReportSent:
        status = sync.status if sync else None
        return cls(ticket_number=ticket.key, report=SentReport(ticket.id, ticket.status, status))


class ReportSynced(Success, kw_only=True):
    """The response of `POST /api/support/report/{ticket_number}/github-sync`.

    Attributes:
        message: A sentence for people.
    """

    message: str = "The report is on its way to GitHub"


# --- own reports ------------------------------------------------------------------------------------------------------


class SupportReportItem(Struct, kw_only=True):
    """A report in a list.

    Attributes:
        id: The id of its ticket.
        ticket_number: The number of the report, for requests.
        category: The category.
        severity: The severity.
        status: The status.
        title: Its title.
        created_at: When it was sent.
        github_issue_url: The issue on GitHub; null where there is none.
    """

    id: UUID
    ticket_number: str
    category: str
    severity: str
    status: str
    title: str
    created_at: datetime
    github_issue_url: str | None


class SupportReportList(Success, kw_only=True):
    """A page of my reports.

    Attributes:
        reports: Newest first.
        pagination: The page's position in the list.
    """

    reports: list[SupportReportItem]
    pagination: SupportPage


def items_of(reports: Sequence[ReportItem], syncs: Mapping[UUID, GitHubSync]) -> list[SupportReportItem]:
    return [
        SupportReportItem(
            id=one.id,
            ticket_number=one.ticket_number,
            category=one.category,
            severity=one.severity,
            status=one.status,
            title=one.title,
            created_at=one.created_at,
            github_issue_url=syncs[one.id].url if one.id in syncs else None,
        )
        for one in reports
    ]


# --- one report -------------------------------------------------------------------------------------------------------


class SupportRedaction(Struct):
    """A redaction.

    Attributes:
        path: The path: names joined by dots, `[]` for every entry of a list; `…` where there are too many paths.
        kind: The kind of secret, as in `[redacted:kind]`.
        count: The number of occurrences.
    """

    path: str
    kind: str
    count: int


class SupportFile(Struct):
    """A file of a report's ticket.

    Attributes:
        id: The id of the file.
        filename: The file's name as sent.
        size: The size in bytes.
        content_type: The media type as sent; of a picture as verified.
        url: A link that is valid for ten minutes.
        created_at: When it was sent.
    """

    id: UUID
    filename: str
    size: int
    content_type: str
    url: str | None
    created_at: datetime


class SupportReportOut(Struct, kw_only=True):
    """A report.

    Attributes:
        id: The id of its ticket.
        ticket_number: The number of the report, for requests.
        company_id: The company that it was sent to.
        user_id: The reporter's id.
        user_name: Their display name, else their user name.
        category: The category.
        severity: The severity.
        status: The status.
        title: Its title.
        description: The description in Markdown.
        description_html: The same as sanitised HTML.
        steps_to_reproduce: Steps to reproduce the problem.
        expected_behavior: What should have happened.
        actual_behavior: What happened.
        browser_info: Facts about the browser.
        page_url: The page's URL.
        page_title: The page's title.
        viewport_size: The size of the viewport.
        screen_resolution: The resolution of the screen.
        console_errors: Errors of the console, redacted; null where none were sent, or they were deleted.
        api_history: Requests and their responses, likewise.
        user_actions: Clicks and inputs of the person, likewise.
        local_storage_data: Names and values, likewise.
        session_storage_data: Names and values, likewise.
        truncated: Whether something of the capture was left out.
        redactions: What was redacted; null for reporters.
        screenshot_path: The name of the screenshot; null where there is none.
        screenshot_url: A link that is valid for ten minutes and needs no credential.
        screenshot_annotations: Drawings on the screenshot.
        attachments: Files of the ticket, oldest first.
        github_issue_id: The id of the issue on GitHub; null where there is none.
        github_issue_number: Its number.
        github_issue_url: Its URL.
        github_sync_status: `pending`, `synced` or `failed`; null where the ticket is not sent to GitHub.
        github_sync_error: The reason of `failed`; null for the reporter.
        github_synced_at: When the issue was last created or changed by us.
        created_at: When the report was sent.
        updated_at: When it was last changed.
        resolved_at: When it was resolved; null while it is not.
        assigned_to: The id of the first assignee; null without one.
        resolution_notes: The resolution notes.
        internal_notes: Internal notes of the team; null for the reporter.
        email_sent: Whether the confirmation mail was sent.
        email_sent_at: When the mail server accepted it.
    """

    id: UUID
    ticket_number: str
    company_id: UUID
    user_id: UUID
    user_name: str
    category: str
    severity: str
    status: str
    title: str
    description: str
    description_html: RenderedHtml
    steps_to_reproduce: str | None
    expected_behavior: str | None
    actual_behavior: str | None
    browser_info: dict[str, Any] | None
    page_url: str | None
    page_title: str | None
    viewport_size: str | None
    screen_resolution: str | None
    console_errors: list[Any] | None
    api_history: list[Any] | None
    user_actions: list[Any] | None
    local_storage_data: dict[str, Any] | None
    session_storage_data: dict[str, Any] | None
    truncated: bool
    redactions: list[SupportRedaction] | None
    screenshot_path: str | None
    screenshot_url: str | None
    screenshot_annotations: list[Any] | None
    attachments: list[SupportFile]
    github_issue_id: int | None
    github_issue_number: int | None
    github_issue_url: str | None
    github_sync_status: SyncStatus | None
    github_sync_error: str | None
    github_synced_at: datetime | None
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    assigned_to: UUID | None
    resolution_notes: str | None
    internal_notes: str | None
    email_sent: bool
    email_sent_at: datetime | None


class SupportReportResponse(Success, kw_only=True):
    """One report.

    Attributes:
        report: The report.
    """

    report: SupportReportOut


def report_of(
    found: ReportDetail,
    tenant: Tenant,
    *,
    screenshot_url: str | None,
    sync: GitHubSync | None,
    files: list[SupportFile],
) -> SupportReportOut:
    """The report as the tenant's user sees it."""
    capture = found.capture or Capture()
    return SupportReportOut(
        id=found.id,
        ticket_number=found.ticket_number,
        company_id=tenant.company_id,
        user_id=found.reporter.id,
        user_name=found.reporter.name,
        category=found.category,
        severity=found.severity,
        status=found.status,
        title=found.title,
        description=found.description,
        description_html=found.description_html,
        steps_to_reproduce=found.steps_to_reproduce,
        expected_behavior=found.expected_behavior,
        actual_behavior=found.actual_behavior,
        browser_info=found.browser_info,
        page_url=found.page_url,
        page_title=found.page_title,
        viewport_size=found.viewport_size,
        screen_resolution=found.screen_resolution,
        console_errors=capture.console_errors,
        api_history=capture.api_history,
        user_actions=capture.user_actions,
        local_storage_data=capture.local_storage_data,
        session_storage_data=capture.session_storage_data,
        truncated=found.truncated,
        redactions=_redactions(found) if sees_all(tenant) else None,
        screenshot_path=f"{SCREENSHOTS}{found.screenshot.name}" if found.screenshot else None,
        screenshot_url=screenshot_url,
        screenshot_annotations=found.screenshot_annotations,
        attachments=files,
        github_issue_id=sync.issue_id if sync else None,
        github_issue_number=sync.number if sync else None,
        github_issue_url=sync.url if sync else None,
        github_sync_status=sync.status if sync else None,
        github_sync_error=sync.error if sync and sees_all(tenant) else None,
        github_synced_at=sync.synced_at if sync else None,
        created_at=found.created_at,
        updated_at=found.updated_at,
        resolved_at=found.resolved_at,
        assigned_to=found.assignees[0].id if found.assignees else None,
        resolution_notes=found.resolution_notes,
        internal_notes=found.internal_notes if sees_all(tenant) else None,
        email_sent=found.email_sent_at is not None,
        email_sent_at=found.email_sent_at,
    )


def _redactions(found: ReportDetail) -> list[SupportRedaction] | None:
    if found.redactions is None:
        return None
    return [SupportRedaction(one.path, one.kind, one.count) for one in found.redactions]


# --- screenshots ------------------------------------------------------------------------------------------------------


class ScreenshotUploaded(Success, kw_only=True):
    """The response of `POST /api/support/upload-screenshot`.

    Attributes:
        filename: The name of the screenshot.
        path: The `screenshot_path` for a report.
        url: A link that is valid for ten minutes.
    """

    filename: str
    path: str
    url: str


# --- comments ---------------------------------------------------------------------------------------------------------


class ReportCommentOut(Struct, kw_only=True):
    """A comment on a report.

    Attributes:
        id: The comment's id.
        issue_id: The id of the report's ticket.
        user_id: The author's id; null for comments of automations.
        user_name: The author's display name, else their user name; null without an author.
        comment: The comment in Markdown, as it was typed.
        comment_html: The same as sanitised HTML.
        is_internal: Whether only the team may read it.
        created_at: When it was written.
        updated_at: When it was last edited.
    """

    id: UUID
    issue_id: UUID
    user_id: UUID | None
    user_name: str | None
    comment: str
    comment_html: RenderedHtml
    is_internal: bool
    created_at: datetime
    updated_at: datetime


class ReportCommentList(Success, kw_only=True):
    """A page of comments on a report.

    Attributes:
        comments: Oldest first.
        pagination: The page's position in the list.
    """

    comments: list[ReportCommentOut]
    pagination: SupportPage


class ReportCommentResponse(Success, kw_only=True):
    """One comment.

    Attributes:
        comment: The comment.
    """

    comment: ReportCommentOut


def comment_of(found: CommentDetail) -> ReportCommentOut:
    return ReportCommentOut(
        id=found.id,
        issue_id=found.ticket_id,
        user_id=found.author.id if found.author else None,
        user_name=found.author_name,
        comment=found.content,
        comment_html=found.content_html,
        is_internal=found.is_internal,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )
