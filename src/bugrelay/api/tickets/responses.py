"""Responses of the ticket API: the domain's structs in camelCase."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bugrelay.domain.tickets.schemas import (
    HistoryEntry,
    Priority,
    ProjectRef,
    ProjectVisibility,
    TicketSubscription,
    TicketUser,
)
from bugrelay.domain.tickets.schemes import Category
from bugrelay.infra.text.markdown import RenderedHtml

T = TypeVar("T")


def written_as(kind: type[T], content: Any) -> T:
    """Convert a struct of the domain to the wire struct with the same fields."""
    return msgspec.convert(content, kind, from_attributes=True)


_WORD_BREAK = re.compile(r"_([a-z])")


def history_written(entries: Iterable[HistoryEntry]) -> list[HistoryOut]:
    """Entries with the names that fields have in this API."""
    return [written_as(HistoryOut, replace(entry, field=_camel(entry.field))) for entry in entries]


def _camel(name: str | None) -> str | None:
    return name and _WORD_BREAK.sub(lambda found: found[1].upper(), name)


def all_written_as(kind: type[T], content: Iterable[Any]) -> list[T]:
    return [written_as(kind, one) for one in content]


class ProjectOut(Struct, kw_only=True, rename="camel"):
    """A project.

    Attributes:
        id: The project's id.
        key: The prefix of its tickets' keys.
        name: Its name.
        description: The description in Markdown.
        scheme: The scheme of its tickets.
        visibility: `company`: the company's reporters see all of its tickets; `team`: only their own.
        ticket_count: The number of its tickets that the reader sees.
        archived_at: When it was archived; null while it is not.
        version: The version; rises with each change.
        created_at: When it was created.
        updated_at: When it was last changed.
    """

    id: UUID
    key: str
    name: str
    description: str | None
    scheme: str
    visibility: ProjectVisibility
    ticket_count: int
    archived_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class ProjectResponse(Struct):
    """One project.

    Attributes:
        project: The project.
    """

    project: ProjectOut


class PageOut(Struct, kw_only=True, rename="camel"):
    """The pagination of a list. A page past the end is empty, with the true total.

    Attributes:
        page: This page, from 1.
        limit: The number of rows of a page.
        total: The number of rows of all pages.
        total_pages: The number of pages.
        has_next: Whether there is a next page.
        has_prev: Whether there is a previous page.
    """

    page: int
    limit: int
    total: int
    total_pages: int
    has_next: bool
    has_prev: bool


class CursorPageOut(PageOut, kw_only=True, rename="camel"):
    """The pagination of a list that also has cursors.

    Attributes:
        next_cursor: The cursor of the next page, as fast at any depth (keyset pagination); null on the last.
        total_is_estimated: Whether `total` is an estimate, because nobody has counted these very many tickets yet.
    """

    next_cursor: str | None
    total_is_estimated: bool


class ProjectList(Struct):
    """A page of projects.

    Attributes:
        projects: Ordered by key.
        pagination: The page's position in the list.
    """

    projects: list[ProjectOut]
    pagination: PageOut


class TicketLink(Struct, kw_only=True, rename="camel"):
    """A public bug that a ticket is linked to.

    Attributes:
        bug_id: The bug; for a merged one its survivor.
        title: Its title.
        status: The status.
        kind: `published`, `tracked` or `linked`: how the link was created.
        carry_status: Whether the ticket's status is carried over to the bug.
    """

    bug_id: UUID
    title: str
    status: Literal["open", "reviewing", "fixed", "wont_fix"]
    kind: Literal["published", "linked", "tracked"]
    carry_status: bool


class TicketOut(Struct, kw_only=True, rename="camel"):
    """A ticket.

    Attributes:
        id: The ticket's id.
        key: The key; it changes with the project.
        kind: The kind, a word of its project's scheme.
        title: A summary in one line.
        description: The description in Markdown, as it was typed.
        description_html: The same as sanitised HTML.
        status: The status, a word of its project's scheme.
        category: The category of the status, common to all schemes.
        priority: The priority.
        project_id: The project's id.
        project: The project.
        department: The department.
        reporter: Who reported it.
        assignees: The assignees, in the order in which they were named.
        tags: Its tags.
        comment_count: The number of comments that the reader may read.
        attachment_count: The number of files.
        internal_notes: Internal notes of the team; null for reporters.
        resolution_notes: The resolution notes.
        links: Public bugs that it is linked to.
        version: The version, for the ETag; rises with each change.
        created_at: When it was reported.
        updated_at: When it was last changed.
        resolved_at: When it was done; null while it is not.
    """

    id: UUID
    key: str
    kind: str
    title: str
    description: str
    description_html: RenderedHtml
    status: str
    category: Category
    priority: Priority
    project_id: UUID
    project: ProjectRef
    department: str | None
    reporter: TicketUser
    assignees: list[TicketUser]
    tags: list[str]
    comment_count: int
    attachment_count: int
    internal_notes: str | None
    resolution_notes: str | None
    links: list[TicketLink]
    version: int
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None


class TicketDetailOut(TicketOut, kw_only=True, rename="camel"):
    """A ticket by itself.

    Attributes:
        subscription: How the reader follows it; null where they do not.
    """

    subscription: TicketSubscription | None


class TicketResponse(Struct):
    """One ticket.

    Attributes:
        ticket: The ticket.
    """

    ticket: TicketDetailOut


class TicketSubscriptionResponse(Struct):
    """How I follow a ticket now.

    Attributes:
        message: What was done.
        subscription: The level, and why; null where I do not follow it.
    """

    message: str
    subscription: TicketSubscription | None


class PublicBugOut(Struct, kw_only=True, rename="camel"):
    """A ticket as a public bug.

    Attributes:
        title: The title, redacted.
        description: The description and the steps, redacted, in Markdown.
        description_html: The same as sanitised HTML.
        priority: The priority.
        tags: The tags.
        operating_system: The operating system, as the browser reports it.
        device_type: The kind of device.
        app_version: The application's version.
        browser_version: The browser and its version.
        reporter: Always null: a published bug has no reporter.
    """

    title: str
    description: str
    description_html: RenderedHtml
    priority: Priority
    tags: list[str]
    operating_system: str | None
    device_type: str | None
    app_version: str | None
    browser_version: str | None
    reporter: None = None


class RedactionOut(Struct):
    """A redaction.

    Attributes:
        path: The field.
        kind: The kind of secret.
        count: The number of occurrences.
    """

    path: str
    kind: str
    count: int


class WarningOut(Struct, rename="camel"):
    """A warning before publication.

    Attributes:
        code: A code for programs.
        message: A sentence for people.
        bug_id: The public bug that the warning is about; null where there is none.
    """

    code: str
    message: str
    bug_id: UUID | None


class PreviewResponse(Struct, kw_only=True):
    """A preview of the public bug that a ticket would become.

    Attributes:
        bug: The public bug.
        redactions: What was redacted.
        warnings: What to check before publication.
        screenshots: The screenshots that may be published.
        token: Proves that this preview was seen; valid until the ticket changes.
    """

    bug: PublicBugOut
    redactions: list[RedactionOut]
    warnings: list[WarningOut]
    screenshots: list[str]
    token: str


class TicketLinkResponse(Struct):
    """A link of a ticket.

    Attributes:
        link: The link.
    """

    link: TicketLink


class TicketCommentOut(Struct, kw_only=True, rename="camel"):
    """A comment of a ticket.

    Attributes:
        id: The comment's id.
        ticket_id: The ticket.
        author: The author; null for comments of automations.
        author_name: The author's name, also of a GitHub user; null without an author.
        content: Its text in Markdown, as it was typed.
        content_html: The same as sanitised HTML.
        is_internal: Whether only the company's members and admins may read it.
        created_at: When it was written.
        updated_at: When it was last edited.
    """

    id: UUID
    ticket_id: UUID
    author: TicketUser | None
    author_name: str | None
    content: str
    content_html: RenderedHtml
    is_internal: bool
    created_at: datetime
    updated_at: datetime


class TicketCommentResponse(Struct):
    """One comment.

    Attributes:
        comment: The comment.
    """

    comment: TicketCommentOut


class TicketCommentList(Struct):
    """A page of comments.

    Attributes:
        comments: Oldest first.
        pagination: The page's position in the list.
    """

    comments: list[TicketCommentOut]
    pagination: PageOut


class HistoryOut(Struct, kw_only=True, rename="camel"):
    """One change of a ticket, or of one of its fields.

    Attributes:
        id: A permanent id.
        action: The type of the event, without `ticket.`.
        field: The changed field; null where it is none.
        old_value: The old value.
        new_value: The new value.
        user: Who did it; null for automations and jobs.
        cause: The cause: `kind`, and `chain`, the events that it follows from.
        at: When.
    """

    id: str
    action: str
    field: str | None
    old_value: Any
    new_value: Any
    user: TicketUser | None
    cause: dict[str, Any]
    at: datetime


class TicketHistory(Struct):
    """A page of a ticket's history.

    Attributes:
        history: Oldest first.
        pagination: The page's position in the list.
    """

    history: list[HistoryOut]
    pagination: PageOut


class TicketList(Struct):
    """A page of tickets.

    Attributes:
        tickets: In the requested order.
        pagination: The page's position, and the cursor of the next page.
    """

    tickets: list[TicketOut]
    pagination: CursorPageOut
