"""What is read of projects and tickets, and what their use cases take. How it is written is for each interface."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from bugrelay.domain.files.schemas import ANY_TYPE
from bugrelay.domain.tickets.schemes import SCHEMES, Category, known_statuses
from bugrelay.infra.db.query import Row
from bugrelay.infra.pagination import CursorQuery
from bugrelay.infra.text.filenames import clean_filename
from bugrelay.infra.text.markdown import RenderedHtml
from bugrelay.infra.validation import Check, OneLine, utc_time

MAX_ASSIGNEES = 20

Priority = Literal["low", "medium", "high", "critical"]
ProjectVisibility = Literal["team", "company"]
Sort = Literal["recent", "oldest", "updated", "priority"]


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
Tag = Annotated[str, OneLine, Meta(max_length=100)]
Comment = Annotated[str, Meta(min_length=1, max_length=10_000)]
ProjectKey = Annotated[str, OneLine, Meta(pattern="^[A-Z][A-Z0-9]{1,9}$")]
ProjectName = Annotated[str, OneLine, Meta(min_length=1, max_length=100)]
ProjectDescription = Annotated[str, Meta(max_length=5000)]


# --- projects ---------------------------------------------------------------------------------------------------------


class NewProject(Struct, kw_only=True):
    """A project to make."""

    key: str
    name: str
    description: str | None = None
    scheme: str = "tickets"
    visibility: ProjectVisibility = "team"


class ProjectChanges(Struct, kw_only=True):
    """What is to be changed of a project; what is unset stays."""

    key: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    visibility: ProjectVisibility | UnsetType = UNSET


class ProjectDetail(Row):
    """A project; `ticket_count` counts those that the reader sees."""

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
    """A ticket to make.

    Attributes:
        title: What it is about, in one line.
        description: In Markdown.
        project_id: Of a project that the reporter sees; left out, the one of the scheme, which is made at first use.
        scheme: Whose words the interface writes; says which project is meant where none is named.
        kind: A word of the scheme; left out, its first.
        priority: How urgent it is.
        department: Who it is for.
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
    """What is to be changed of a ticket; what is unset stays."""

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
    """What rights over a ticket, and changes of it, depend on."""

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
    """A person as tickets name them.

    Attributes:
        id: The user's id.
        username: The public name.
        name: What they call themselves, else the public name.
    """

    id: UUID
    username: str
    name: str


class ProjectRef(Struct):
    """The project of a ticket.

    Attributes:
        id: The project's id.
        key: What the keys of its tickets begin with.
        name: Its name.
    """

    id: UUID
    key: str
    name: str


class TicketDetail(Struct, kw_only=True):
    """A ticket as its reader sees it: `internal_notes` is None, and comments are counted without internal ones, for
    those who do not see what is internal."""

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
    comment_count: int
    attachment_count: int
    internal_notes: str | None
    resolution_notes: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None

    @property
    def project_id(self) -> UUID:
        return self.project.id


class TicketQuery(CursorQuery, kw_only=True):
    """Which tickets, in which order.

    Attributes:
        status: Tickets with this status.
        category: Tickets in this category.
        priority: Tickets with this priority.
        project_id: Tickets of this project.
        scheme: Tickets of projects with this scheme.
        department: Tickets for this department.
        assignee_id: Tickets that this user works on.
        reporter_id: Tickets that this user reported.
        tag: Tickets with this tag.
        created_from: Tickets from this moment on.
        created_to: Tickets before this moment.
        sort: The order; the newest first, where nothing is said.
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
    sort: Sort | None = None


# --- comments and history ---------------------------------------------------------------------------------------------


class CommentDetail(Struct, kw_only=True):
    """A comment of a ticket."""

    id: UUID
    ticket_id: UUID
    author: TicketUser
    content: str
    content_html: RenderedHtml
    is_internal: bool
    created_at: datetime
    updated_at: datetime


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
    """The media type that somebody said; one that is none says nothing."""
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
    """A file of a ticket; until it `is_complete`, there are no bytes of it."""

    id: UUID
    ticket_id: UUID
    filename: str
    mime_type: str
    file_size: int
    is_complete: bool
    uploader: TicketUser
    created_at: datetime
