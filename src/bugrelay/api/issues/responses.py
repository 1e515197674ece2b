"""Responses of the issue API."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from bugrelay.api.issues.words import Severity, severity_of
from bugrelay.domain.tickets.schemas import TicketDetail, TicketPagination
from bugrelay.infra.text.markdown import RenderedHtml


class IssueOut(Struct, kw_only=True):
    """An issue.

    Attributes:
        id: The issue's id.
        key: Its key in the company, by which the ticket API finds it too.
        title: A summary in one line.
        description: The description in Markdown.
        description_html: The same as sanitised HTML.
        severity: The severity.
        status: The status.
        reporter_id: Who reported it.
        assignee_id: The first assignee; null if there is none.
        tags: Its tags.
        created_at: When it was reported.
        updated_at: When it was last changed.
        version: The version, which increases with each change.
    """

    id: UUID
    key: str
    title: str
    description: str
    description_html: RenderedHtml
    severity: Severity
    status: str
    reporter_id: UUID
    assignee_id: UUID | None
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    version: int


class IssueResponse(Struct):
    """One issue.

    Attributes:
        issue: The issue.
    """

    issue: IssueOut


class IssueList(Struct):
    """A page of issues.

    Attributes:
        issues: The newest first; in a search, the best matches first.
        pagination: The page's position in the list.
    """

    issues: list[IssueOut]
    pagination: TicketPagination


def issue_of(ticket: TicketDetail) -> IssueOut:
    return IssueOut(
        id=ticket.id,
        key=ticket.key,
        title=ticket.title,
        description=ticket.description,
        description_html=ticket.description_html,
        severity=severity_of(ticket.priority),
        status=ticket.status,
        reporter_id=ticket.reporter.id,
        assignee_id=ticket.assignees[0].id if ticket.assignees else None,
        tags=ticket.tags,
        created_at=ticket.created_at,
        updated_at=ticket.updated_at,
        version=ticket.version,
    )
