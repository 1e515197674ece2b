"""What is read and written of bugs; most of it goes over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from bugrelay.infra.db.query import Row
from bugrelay.infra.pagination import CursorQuery, PageQuery
from bugrelay.infra.text.markdown import RenderedHtml
from bugrelay.infra.text.normalising import UnusableText
from bugrelay.infra.text.tags import clean_tag
from bugrelay.infra.validation import Check, ListProblem, OneLine, Verbatim, email_address, web_address

MAX_TAGS = 10


def _tags(values: list[str]) -> list[str]:
    """Cleaned, duplicates folded, in the order of their first use."""
    cleaned: list[str] = []
    problems: list[tuple[int, str]] = []
    for position, value in enumerate(values):
        try:
            cleaned.append(clean_tag(value))
        except UnusableText as error:
            problems.append((position, str(error)))
    if problems:
        raise ListProblem(problems)
    folded = list(dict.fromkeys(cleaned))
    if len(folded) > MAX_TAGS:
        raise ValueError(f"must have at most {MAX_TAGS} tags")
    return folded


def _wanted_tags(value: str) -> str:
    """The tags of a filter, comma-separated; one that cannot be on any bug matches none."""
    tags = [tag.strip() for tag in value.split(",") if tag.strip()]
    if len(tags) > MAX_TAGS:
        raise ValueError(f"must name at most {MAX_TAGS} tags")
    return ",".join(dict.fromkeys(tag.lower() for tag in tags))


Status = Literal["open", "reviewing", "fixed", "wont_fix"]
Priority = Literal["low", "medium", "high", "critical"]
Title = Annotated[str, OneLine, Meta(min_length=5, max_length=255)]
Description = Annotated[str, Meta(min_length=10, max_length=5000)]
Tags = Annotated[list[str], OneLine, Meta(max_length=100), Check(_tags)]
Technical = Annotated[str, OneLine, Meta(min_length=1, max_length=100)]
Content = Annotated[str, Meta(min_length=1, max_length=2000)]


class BugState(Row):
    """What rights over a bug depend on."""

    id: UUID
    status: str
    reporter_id: UUID | None
    assigned_company_id: UUID | None
    removed_at: datetime | None
    merged_into_id: UUID | None


class CorrectableFields(Row):
    """What a reporter may correct."""

    title: str
    tags: list[str]
    description: str
    operating_system: str | None
    device_type: str | None
    app_version: str | None
    browser_version: str | None


class CommentState(Row):
    """What the right to change a comment depends on; `company_id` is the company that its author spoke for."""

    id: UUID
    bug_id: UUID
    user_id: UUID | None
    company_id: UUID | None
    is_company_response: bool


class AttachmentState(Row):
    """What decides who may take a picture away."""

    id: UUID
    uploader_id: UUID | None


class ReportBug(Struct, kw_only=True):
    """`POST /bugs`."""

    title: Title
    description: Description
    application_name: Annotated[str, OneLine, Meta(min_length=1, max_length=255)]
    priority: Priority | None = "medium"
    tags: Tags | None = None
    application_url: Annotated[str, OneLine, Meta(max_length=500), Check(web_address)] | None = None
    operating_system: Technical | None = None
    device_type: Technical | None = None
    app_version: Technical | None = None
    browser_version: Technical | None = None
    contact_email: Annotated[str, OneLine, Meta(max_length=254), Check(email_address)] | None = None
    recaptcha_token: Annotated[str, Verbatim] | None = None


class UpdateBug(Struct, kw_only=True):
    """`PATCH /bugs/{id}`: what is absent stays as it is."""

    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    tags: Tags | UnsetType | None = UNSET
    operating_system: Technical | UnsetType | None = UNSET
    device_type: Technical | UnsetType | None = UNSET
    app_version: Technical | UnsetType | None = UNSET
    browser_version: Technical | UnsetType | None = UNSET


class ChangeStatus(Struct):
    status: Status


class WriteComment(Struct):
    content: Content


class BugQuery(CursorQuery, kw_only=True):
    """`GET /bugs`."""

    search: Annotated[str, OneLine, Meta(max_length=500)] | None = None
    status: Status | None = None
    priority: Priority | None = None
    tags: Annotated[str, OneLine, Meta(max_length=600), Check(_wanted_tags)] | None = None
    application: Annotated[str, OneLine, Meta(max_length=255)] | None = None
    company: Annotated[str, OneLine, Meta(max_length=255)] | None = None
    application_id: UUID | None = None
    company_id: UUID | None = None
    reporter_id: UUID | None = None
    sort: Literal["recent", "popular", "trending", "oldest", "relevance"] | None = None

    @property
    def order(self) -> str:
        """The sort that applies: relevance with a search, else the newest first; relevance needs a search."""
        if self.search is None:
            return "recent" if self.sort in (None, "relevance") else str(self.sort)
        return self.sort or "relevance"


class TagQuery(PageQuery, kw_only=True):
    search: Annotated[str, OneLine, Meta(max_length=50)] | None = None


class ApplicationRef(Struct):
    id: UUID
    name: str
    url: str | None


class CompanyRef(Struct):
    id: UUID
    name: str
    domain: str
    verified: bool


class UserRef(Struct):
    """The public user. `email` is a key only where the contract names it, filled for that user and for admins."""

    id: UUID
    username: str
    email: str | UnsetType | None = UNSET


class BugItem(Struct, kw_only=True):
    """A bug in a list."""

    id: UUID
    title: str
    description: str
    description_html: RenderedHtml
    status: str
    priority: str
    tags: list[str]
    application_id: UUID
    reporter_id: UUID | None
    assigned_company_id: UUID | None
    vote_count: int
    comment_count: int
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    application: ApplicationRef
    reporter: UserRef | None
    assigned_company: CompanyRef | None


class BugWithTechnical(BugItem, kw_only=True):
    """A bug as it is answered to its reporter."""

    operating_system: str | None
    device_type: str | None
    app_version: str | None
    browser_version: str | None


class AttachmentOut(Struct, kw_only=True):
    """`file_size` in bytes, of the stored file."""

    id: UUID
    bug_id: UUID
    filename: str
    file_url: str
    file_size: int
    mime_type: str
    uploaded_at: datetime


class CommentOut(Struct, kw_only=True):
    """`user` is null for a note of BugRelay itself."""

    id: UUID
    bug_id: UUID
    user_id: UUID | None
    content: str
    content_html: RenderedHtml
    is_company_response: bool
    created_at: datetime
    updated_at: datetime
    edited_at: datetime | None
    user: UserRef | None


class BugDetail(BugWithTechnical, kw_only=True):
    """One bug. `contact_email` is a key only for those who may see it."""

    attachments: list[AttachmentOut]
    comments: list[CommentOut]
    voted: bool | None
    contact_email: str | UnsetType | None = UNSET


class TagCount(Struct):
    name: str
    count: int


class HistoryCompany(Struct):
    id: UUID
    name: str


class HistoryEntry(Struct, kw_only=True):
    """One change; which keys it has follows from `kind`."""

    id: UUID
    kind: Literal["status", "edit", "merge", "unmerge"]
    at: datetime
    user: UserRef | None
    company: HistoryCompany | None
    from_status: str | UnsetType = UNSET
    to_status: str | UnsetType = UNSET
    before: dict[str, Any] | UnsetType = UNSET
    source_bug_id: UUID | UnsetType = UNSET
    target_bug_id: UUID | UnsetType = UNSET
