"""Structs of projects and tickets: rows, arguments and results of use cases. Wire formats belong to the deliveries."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from bugrelay.domain.files.schemas import ANY_TYPE
from bugrelay.domain.tickets.schemes import SCHEMES, Category, known_statuses
from bugrelay.infra.db.query import Row
from bugrelay.infra.ids import parse_id
from bugrelay.infra.pagination import CursorPagination, CursorQuery
from bugrelay.infra.text.filenames import clean_filename
from bugrelay.infra.text.markdown import RenderedHtml
from bugrelay.infra.validation import Check, OneLine, utc_time

MAX_ASSIGNEES = 20

Priority = Literal["low", "medium", "high", "critical"]
ProjectVisibility = Literal["team", "company"]
Sort = Literal["recent", "oldest", "updated", "priority", "relevance"]


def _one_status(value: str) -> str:
    if value not in known_statuses():
        raise ValueError(f"must be one of {', '.join(known_statuses())}")
    return value


def _each_once(values: list[UUID]) -> list[UUID]:
    return list(dict.fromkeys(values))


def _one_scheme(value: str) -> str:
    if value not in SCHEMES:
        raise ValueError(f"must be one of {', '.join(SCHEMES)}")
    return value


Title = Annotated[str, OneLine, Meta(min_length=1, max_length=255)]
Description = Annotated[str, Meta(max_length=20_000)]
Department = Annotated[str, OneLine, Meta(min_length=1, max_length=100)]
Notes = Annotated[str, Meta(max_length=20_000)]
AssigneeIds = Annotated[list[UUID], Meta(max_length=MAX_ASSIGNEES), Check(_each_once)]
Status = Annotated[str, OneLine, Meta(max_length=50)]
KnownScheme = Annotated[str, OneLine, Meta(max_length=50), Check(_one_scheme)]
KnownStatus = Annotated[str, OneLine, Meta(max_length=50), Check(_one_status)]
Moment = Annotated[datetime, Check(utc_time)]
Words = Annotated[str, Meta(max_length=500)]
Tag = Annotated[str, OneLine, Meta(max_length=100), Check(str.lower)]
Comment = Annotated[str, Meta(min_length=1, max_length=10_000)]
ProjectKey = Annotated[str, OneLine, Meta(pattern="^[A-Z][A-Z0-9]{1,9}$")]
ProjectName = Annotated[str, OneLine, Meta(min_length=1, max_length=100)]
ProjectDescription = Annotated[str, Meta(max_length=5000)]


# --- projects ---------------------------------------------------------------------------------------------------------


class NewProject(Struct, kw_only=True):
    """A project to create."""

    key: str
    name: str
    description: str | None = None
    scheme: str = "tickets"
    visibility: ProjectVisibility = "team"


class ProjectChanges(Struct, kw_only=True):
    """Changes of a project; unset fields keep their values."""

    key: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    visibility: ProjectVisibility | UnsetType = UNSET


class ProjectDetail(Row):
    """A project; `ticket_count` counts the tickets that the reader sees."""

    id: UUID
    key: str
    name: str
    description: str | None
    scheme: str
    visibility: str
    ticket_count: int
    archived_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


# --- tickets ----------------------------------------------------------------------------------------------------------


class NewTicket(Struct, kw_only=True):
    """A ticket to create.

    Attributes:
        title: A summary in one line.
        description: In Markdown.
        project_id: A project that the reporter sees; by default that of the scheme, which is created at first use.
        scheme: The scheme of the API; selects the default project.
        kind: A kind of the scheme; by default the first.
        priority: The priority.
        department: The department.
        assignee_ids: Active members of the company, for members and admins to name.
        tags: Cleaned.
    """

    title: str
    description: str = ""
    project_id: UUID | None = None
    scheme: str = "tickets"
    kind: str | None = None
    priority: Priority = "medium"
    department: str | None = None
    assignee_ids: list[UUID] = []
    tags: list[str] = []


class TicketChanges(Struct, kw_only=True):
    """Changes of a ticket; unset fields keep their values."""

    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    project_id: UUID | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    department: str | UnsetType | None = UNSET
    assignee_ids: list[UUID] | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    internal_notes: str | UnsetType | None = UNSET
    resolution_notes: str | UnsetType | None = UNSET


class TicketState(Row):
    """What policies and use cases need of a locked ticket."""

    id: UUID
    project_id: UUID
    scheme: str
    key: str
    kind: str
    title: str
    description: str
    status: str
    category: Category
    priority: Priority
    department: str | None
    tags: list[str]
    reporter_id: UUID
    internal_notes: str | None
    resolution_notes: str | None
    version: int


class TicketUser(Struct):
    """A user, as tickets show them.

    Attributes:
        id: The user's id.
        username: Their user name.
        name: Their display name, else their user name.
    """

    id: UUID
    username: str
    name: str


class ProjectRef(Struct):
    """The project of a ticket.

    Attributes:
        id: The project's id.
        key: The prefix of its tickets' keys.
        name: Its name.
    """

    id: UUID
    key: str
    name: str


class LinkedBug(Struct, kw_only=True):
    """A public bug that a ticket is linked to.

    Attributes:
        bug_id: The bug; for a merged one its survivor.
        title: Its title.
        status: The status.
        kind: Whether the ticket was published as the bug (`published`), made to track it (`tracked`), or linked to it
            (`linked`).
        carry_status: Whether the ticket's status is carried over to the bug.
    """

    bug_id: UUID
    title: str
    status: str
    kind: str
    carry_status: bool


class TicketSubscription(Struct):
    """How a user follows a ticket.

    Attributes:
        level: What they are notified of: `all` events, `official` status changes, or only that it is `resolved`.
        reason: Why they follow it.
    """

    level: Literal["all", "official", "resolved"]
    reason: Literal["chosen", "reported", "assigned", "commented"]


class TicketDetail(Struct, kw_only=True):
    """A ticket as its reader sees it: for readers who may not see internal data, `internal_notes` is None and internal
    comments are not counted. `subscription` is how the reader follows it; lists do not read it.
    """

    id: UUID
    key: str
    kind: str
    title: str
    description: str
    description_html: RenderedHtml
    status: str
    category: str
    priority: str
    project: ProjectRef
    department: str | None
    reporter: TicketUser
    assignees: list[TicketUser]
    tags: list[str]
    links: list[LinkedBug]
    comment_count: int
    attachment_count: int
    internal_notes: str | None
    resolution_notes: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    subscription: TicketSubscription | None = None

    @property
    def project_id(self) -> UUID:
        return self.project.id


class TicketQuery(CursorQuery, kw_only=True):
    """Filters and order of a list of tickets.

    Attributes:
        status: Tickets with this status.
        category: Tickets in this category.
        priority: Tickets with this priority.
        project_id: Tickets of this project.
        scheme: Tickets of projects with this scheme.
        department: Tickets for this department.
        assignee_id: Tickets assigned to this user.
        reporter_id: Tickets that this user reported.
        tag: Tickets with this tag.
        created_from: Tickets created at this time or later.
        created_to: Tickets created before this time.
        q: Words to search for in title, key and description.
        sort: The order; by default newest first, or by relevance for `q`.
    """

    status: str | None = None
    category: Category | None = None
    priority: Priority | None = None
    project_id: UUID | None = None
    scheme: str | None = None
    department: str | None = None
    assignee_id: UUID | None = None
    reporter_id: UUID | None = None
    tag: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    q: str | None = None
    sort: Sort | None = None


# --- comments and history ---------------------------------------------------------------------------------------------


class CommentDetail(Struct, kw_only=True):
    """A comment of a ticket; `author` is None if no user wrote it, `author_name` if no author is named."""

    id: UUID
    ticket_id: UUID
    author: TicketUser | None
    author_name: str | None
    content: str
    content_html: RenderedHtml
    is_internal: bool
    created_at: datetime
    updated_at: datetime

    def is_by(self, user_id: UUID) -> bool:
        """Whether this user wrote it."""
        return self.author is not None and self.author.id == user_id


_ENTRY_ID = re.compile(r"evt_([0-9a-f-]{36})_([0-9]{1,18})\.([0-9]{1,9})")


class EntryId(NamedTuple):
    """The id of an entry of the history: its event, and the number of the entry in the event, counted from 1."""

    company_id: UUID
    seq: int
    position: int

    def __str__(self) -> str:
        return f"evt_{self.company_id}_{self.seq}.{self.position}"

    @classmethod
    def parse(cls, text: str) -> EntryId | None:
        """The id in a text; None if it is not one."""
        found = _ENTRY_ID.fullmatch(text)
        company_id = parse_id(found[1]) if found else None
        return cls(company_id, int(found[2]), int(found[3])) if found and company_id else None


class TicketPagination(CursorPagination):
    """The position of a page in a list of tickets.

    Attributes:
        total_is_estimated: So many tickets are not counted yet: `total` and `total_pages` are estimates.
    """

    total_is_estimated: bool = False


class HistoryEntry(Struct, kw_only=True):
    """One change of a ticket, or of one of its fields."""

    id: str
    action: str
    field: str | None
    old_value: Any
    new_value: Any
    user: TicketUser | None
    cause: dict[str, Any]
    at: datetime


# --- files ------------------------------------------------------------------------------------------------------------

_MEDIA_TYPE = re.compile(
    r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"
)  # RFC 6838, section 4.2
_SAME_AS = {"image/jpg": "image/jpeg"}  # what some clients call it


def _media_type(value: str) -> str:
    """A check: a media type, in lower case and without parameters."""
    kind = value.partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(kind):
        raise ValueError("must be a media type, such as text/plain")
    return _SAME_AS.get(kind, kind)


def media_type_or_any(value: str) -> str:
    """The media type, or `ANY_TYPE` for an invalid one."""
    try:
        return _media_type(value)
    except ValueError:
        return ANY_TYPE


SentFilename = Annotated[str, OneLine, Meta(min_length=1, max_length=1024), Check(clean_filename)]
MediaType = Annotated[str, OneLine, Meta(max_length=255), Check(_media_type)]


class NewAttachment(Struct, kw_only=True):
    """A file as its sender announces it."""

    filename: str
    mime_type: str
    file_size: int


class AttachmentDetail(Struct, kw_only=True):
    """A file of a ticket; it has no content until it `is_complete`."""

    id: UUID
    ticket_id: UUID
    filename: str
    mime_type: str
    file_size: int
    is_complete: bool
    uploader: TicketUser
    created_at: datetime


# --- reports ----------------------------------------------------------------------------------------------------------


def _a_day(value: date) -> date:
    """A check: a day in the supported years, so that the day after it exists as well."""
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError(f"must be in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return value


_FIRST_YEAR, _LAST_YEAR = 1970, 9998
Day = Annotated[date, Check(_a_day)]


class ReportScope(Struct, kw_only=True):
    """The scope of a report.

    Attributes:
        project_id: Only tickets of this project.
        scheme: Only tickets of projects with this scheme.
        first_day: The first UTC day.
        last_day: The last UTC day, which is included.
    """

    project_id: UUID | None = None
    scheme: str | None = None
    first_day: date | None = None
    last_day: date | None = None


class StatusCount(Row):
    """Tickets with a status; in different schemes the same word may belong to different categories."""

    status: str
    category: str
    count: int


class PriorityCount(Row):
    """Tickets with a priority."""

    priority: str
    count: int


class DepartmentCount(Row):
    """Tickets for a department.

    Attributes:
        department: Its name; null for tickets without one.
        count: The number of tickets.
    """

    department: str | None
    count: int


class TicketCounts(Struct):
    """Numbers of tickets; `by_priority` has all four priorities, the others only values that occur."""

    by_status: list[StatusCount]
    by_priority: list[PriorityCount]
    by_department: list[DepartmentCount]


class DayStats(Row):
    """Statistics of tickets at the end of a UTC day; for today, at the last count.

    Attributes:
        date: The day.
        total_issues: All tickets.
        open_issues: Tickets in the first status of their scheme.
        triaged_issues: Other tickets to do.
        in_progress_issues: Tickets in progress.
        done_issues: Tickets that were done.
        low_count: Tickets with the priority low.
        medium_count: Tickets with the priority medium.
        high_count: Tickets with the priority high.
        critical_count: Tickets with the priority critical.
        created_count: Tickets created on that day.
        resolved_count: Tickets that became done on that day, each time counted.
    """

    date: date
    total_issues: int
    open_issues: int
    triaged_issues: int
    in_progress_issues: int
    done_issues: int
    low_count: int
    medium_count: int
    high_count: int
    critical_count: int
    created_count: int
    resolved_count: int


class Flow(Row):
    """Tickets created and closed today (UTC), and the median hours from creation to closing; None without any."""

    created_today: int
    closed_today: int
    median_hours_to_close: float | None


class TicketDashboard(Struct, kw_only=True):
    """A company's statistics as of now, except for `daily` and the median, which cover the scope's days."""

    counts: TicketCounts
    flow: Flow
    newest: list[TicketDetail]
    daily: list[DayStats]


class UserActivity(Row):
    """The activity of a user of the company in a report's days, and the number of open tickets assigned to them now."""

    id: UUID
    username: str
    name: str
    created: int
    closed: int
    commented: int
    open_assigned: int
