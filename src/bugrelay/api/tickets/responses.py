"""What the ticket API answers: the domain's structs, in camel case."""

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
    """A struct of the domain as the struct of the same fields that goes over the wire."""
    return msgspec.convert(content, kind, from_attributes=True)


_WORD_BREAK = re.compile(r"_([a-z])")


def history_written(entries: Iterable[HistoryEntry]) -> list[HistoryOut]:
    """With the names that fields have on this API."""
    return [written_as(HistoryOut, replace(entry, field=_camel(entry.field))) for entry in entries]


def _camel(name: str | None) -> str | None:
    return name and _WORD_BREAK.sub(lambda found: found[1].upper(), name)


def all_written_as(kind: type[T], content: Iterable[Any]) -> list[T]:
    return [written_as(kind, one) for one in content]


class ProjectOut(Struct, kw_only=True, rename="camel"):
    """A project.

    Attributes:
        id: The project's id.
        key: What the keys of its tickets begin with.
        name: Its name.
        description: What it is for, in Markdown.
        scheme: Which words its tickets have.
        visibility: `company` where the company's reporters see all of its tickets; `team` where only their own.
        ticket_count: How many of its tickets the reader sees.
        archived_at: Since when it takes no tickets; null while it does.
        version: Goes up with each change.
        created_at: When it was made.
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
    """Where a page stands in its list. A page past the end is empty, with the true total.

    Attributes:
        page: This page, counted from 1.
        limit: Rows a page.
        total: Rows of all pages.
        total_pages: How many pages there are.
        has_next: Whether there is a page behind this one.
        has_prev: Whether there is a page before it.
    """

    page: int
    limit: int
    total: int
    total_pages: int
    has_next: bool
    has_prev: bool


class CursorPageOut(PageOut, kw_only=True, rename="camel"):
    """Where a page stands in a list that can be walked by cursors.

    Attributes:
        next_cursor: Leads to the page behind this one, as fast however far; null on the last.
        total_is_estimated: Nobody has counted these very many tickets yet: `total` is about right.
    """

    next_cursor: str | None
    total_is_estimated: bool


class ProjectList(Struct):
    """A page of projects.

    Attributes:
        projects: By their keys.
        pagination: Where the page stands.
    """

    projects: list[ProjectOut]
    pagination: PageOut


class TicketLink(Struct, kw_only=True, rename="camel"):
    """A public bug that a ticket is tied to.

    Attributes:
        bug_id: The bug; of one that was merged, what it became.
        title: Its title.
        status: How far it is.
        kind: Whether the ticket was published as the bug, made to track it, or tied to it.
        carry_status: Whether what becomes of the ticket becomes of the bug.
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
        key: What people call it; it changes with the project.
        kind: What it is, a word of its project's scheme.
        title: What it is about, in one line.
        description: What there is to say, in Markdown, as it was typed.
        description_html: The same as safe HTML.
        status: How far it is, a word of its project's scheme.
        category: What the status means in every scheme.
        priority: How urgent it is.
        project_id: The project's id.
        project: The project.
        department: Who it is for.
        reporter: Who reported it.
        assignees: Who works on it, in the order in which they were named.
        tags: Its tags.
        comment_count: How many comments the reader may read.
        attachment_count: How many files it has.
        internal_notes: For members and admins; null for everybody else.
        resolution_notes: What became of it.
        links: Public bugs that it is tied to.
        version: Goes up with each change; the ETag.
        created_at: When it was reported.
        updated_at: When it was last changed.
        resolved_at: Since when it is done; null while it is not.
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
    """What the public reads of a ticket.

    Attributes:
        title: The title, redacted.
        description: The description and the steps, redacted, in Markdown.
        description_html: The same as safe HTML.
        priority: How urgent it is.
        tags: The tags.
        operating_system: What the report was sent from.
        device_type: The kind of device.
        app_version: The application's version.
        browser_version: The browser and its version.
        reporter: Always null: a published bug is nobody's.
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
    """What was taken out of a text.

    Attributes:
        path: The field.
        kind: What it was.
        count: How often.
    """

    path: str
    kind: str
    count: int


class WarningOut(Struct, rename="camel"):
    """What to look at before publishing.

    Attributes:
        code: For programs.
        message: For people.
        bug_id: The public bug that it is about; null where it is about none.
    """

    code: str
    message: str
    bug_id: UUID | None


class PreviewResponse(Struct, kw_only=True):
    """What a ticket would be as a public bug.

    Attributes:
        bug: What the public would read.
        redactions: What was taken out of it.
        warnings: What to look at before.
        screenshots: Those that may be named for publication.
        token: Says that this was seen; it holds until the ticket changes.
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
        author: Who wrote it; null where a rule did, or something else that acts by itself.
        author_name: What its author is called, also of one who is at GitHub; null where nobody wrote it.
        content: What it says, in Markdown, as it was typed.
        content_html: The same as safe HTML.
        is_internal: Whether only the company's members and admins may read it.
        created_at: When it was written.
        updated_at: When it was last corrected.
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
        comments: The oldest first.
        pagination: Where the page stands.
    """

    comments: list[TicketCommentOut]
    pagination: PageOut


class HistoryOut(Struct, kw_only=True, rename="camel"):
    """One change of a ticket, or of one of its fields.

    Attributes:
        id: The same for ever.
        action: What happened, as the event log names it without `ticket.`.
        field: Which field; null where it is none.
        old_value: What stood there before.
        new_value: What stood there then.
        user: Who did it; null where nobody did.
        cause: What it came from: `kind`, and `chain`, the events that it follows from.
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
    """A page of what was changed.

    Attributes:
        history: The oldest first.
        pagination: Where the page stands.
    """

    history: list[HistoryOut]
    pagination: PageOut


class TicketList(Struct):
    """A page of tickets.

    Attributes:
        tickets: In the order asked for.
        pagination: Where the page stands, and the cursor of the next.
    """

    tickets: list[TicketOut]
    pagination: CursorPageOut
