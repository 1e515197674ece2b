"""What the support API answers: `"success": true`, and what was asked for."""

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
"""What stands before the name of a screenshot."""


class Success(Struct, kw_only=True):
    """An answer of the support API.

    Attributes:
        success: True.
    """

    success: bool = True


class SupportPage(Struct):
    """Where a page stands in its list. A page past the end is empty, with the true total.

    Attributes:
        page: This page, counted from 1.
        per_page: Rows a page.
        total: Rows of all pages.
        pages: How many pages there are.
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
    """A report that was made.

    Attributes:
        id: The id of its ticket.
        status: How far it is.
        github_sync_status: `pending` where an issue on GitHub will follow; null where the company has connected none.
    """

    id: UUID
    status: str
    github_sync_status: SyncStatus | None


class ReportSent(Success, kw_only=True):
    """What `POST /api/support/report` answers.

    Attributes:
        ticket_number: By which the report is asked for.
        message: What was done, for people.
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
    """What `POST /api/support/report/{ticket_number}/github-sync` answers.

    Attributes:
        message: What was done, for people.
    """

    message: str = "The report is on its way to GitHub"


# --- one's own --------------------------------------------------------------------------------------------------------


class SupportReportItem(Struct, kw_only=True):
    """A report in a list.

    Attributes:
        id: The id of its ticket.
        ticket_number: By which it is asked for.
        category: What kind of report it is.
        severity: How bad it is.
        status: How far it is.
        title: What it is about.
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
        reports: The newest first.
        pagination: Where the page stands.
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


# --- one --------------------------------------------------------------------------------------------------------------


class SupportRedaction(Struct):
    """Something that was taken out.

    Attributes:
        path: Where: names joined by dots, `[]` for every entry of a list; `…` for places that are too many to name.
        kind: What it was, as it stands in `[redacted:kind]`.
        count: How often.
    """

    path: str
    kind: str
    count: int


class SupportFile(Struct):
    """A file of a report's ticket.

    Attributes:
        id: The id of the file.
        filename: Its sender's name for it.
        size: Its bytes.
        content_type: Its sender's word for what it is; of a picture, what it is.
        url: Where it can be had for ten minutes.
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
        ticket_number: By which it is asked for.
        company_id: The company that it was sent to.
        user_id: Who sent it.
        user_name: What they call themselves, else their public name.
        category: What kind of report it is.
        severity: How bad it is.
        status: How far it is.
        title: What it is about.
        description: What there is to say, in Markdown.
        description_html: The same as HTML, cleaned, ready to show.
        steps_to_reproduce: How it comes about.
        expected_behavior: What should have happened.
        actual_behavior: What happened.
        browser_info: What the browser is.
        page_url: Where it happened.
        page_title: What the page is called.
        viewport_size: How large the page was shown.
        screen_resolution: How large the screen is.
        console_errors: What the console said, redacted; null where nothing was sent, or it is kept no longer.
        api_history: Requests and their answers, likewise.
        user_actions: What the person did, likewise.
        local_storage_data: Names and values, likewise.
        session_storage_data: Names and values, likewise.
        truncated: Whether less is kept of it than was sent.
        redactions: What was taken out; null for reporters.
        screenshot_path: What the screenshot is called; null where there is none.
        screenshot_url: Where it can be had for ten minutes, without a credential, by whoever has the link.
        screenshot_annotations: What was drawn on it.
        attachments: Files of the ticket, the oldest first.
        github_issue_id: The id of the issue on GitHub; null where there is none.
        github_issue_number: Its number.
        github_issue_url: Its address.
        github_sync_status: How far that is; null where the company has connected nothing.
        github_sync_error: What is in its way; null for the reporter.
        github_synced_at: When it was there.
        created_at: When the report was sent.
        updated_at: When it was last changed.
        resolved_at: When it became done; null while it is not.
        assigned_to: The id of who works on it, the first of them; null while nobody does.
        resolution_notes: How it was resolved.
        internal_notes: What members have noted for each other; null for the reporter.
        email_sent: Whether the confirmation mail is sent.
        email_sent_at: When the mail server took it.
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
    """As the tenant's user sees it."""
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
    """What `POST /api/support/upload-screenshot` answers.

    Attributes:
        filename: What the picture is called.
        path: What a report names it by.
        url: Where it can be had for ten minutes.
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
        user_id: Who wrote it; null where something did by itself.
        user_name: What they call themselves, else their public name; null where nobody wrote it.
        comment: The comment in Markdown, as it was typed.
        comment_html: The same as HTML, cleaned, ready to show.
        is_internal: Whether members alone read it.
        created_at: When it was written.
        updated_at: When it was last corrected.
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
        comments: The oldest first.
        pagination: Where the page stands.
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
