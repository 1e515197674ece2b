"""States, requests and responses of the board."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from bugrelay.infra.db.query import Row
from bugrelay.infra.pagination import CursorQuery, PageQuery
from bugrelay.infra.text.markdown import RenderedHtml
from bugrelay.infra.text.tags import MAX_TAGS
from bugrelay.infra.validation import Check, OneLine, Tags, Verbatim, email_address, web_address


def _wanted_tags(value: str) -> str:
    """The tags of a filter, comma-separated; one that cannot be on any bug matches none."""
    tags = [tag.strip() for tag in value.split(",") if tag.strip()]
    if len(tags) > MAX_TAGS:
        raise ValueError(f"must name at most {MAX_TAGS} tags")
    return ",".join(dict.fromkeys(tag.lower() for tag in tags))


Status = Literal["open", "reviewing", "fixed", "wont_fix"]
Priority = Literal["low", "medium", "high", "critical"]
Level = Literal["all", "official", "resolved"]
Reason = Literal["chosen", "reported", "commented", "voted"]
Title = Annotated[str, OneLine, Meta(min_length=5, max_length=255)]
Description = Annotated[str, Meta(min_length=10, max_length=5000)]
WantedTags = Annotated[str, OneLine, Meta(max_length=600), Check(_wanted_tags)]
Technical = Annotated[str, OneLine, Meta(min_length=1, max_length=100)]
Content = Annotated[str, Meta(min_length=1, max_length=2000)]


class BugState(Row):
    """The columns of a bug that rights depend on."""

    id: UUID
    status: str
    reporter_id: UUID | None
    assigned_company_id: UUID | None
    removed_at: datetime | None
    merged_into_id: UUID | None


class CorrectableFields(Row):
    """The fields that a reporter may edit."""

    title: str
    tags: list[str]
    description: str
    operating_system: str | None
    device_type: str | None
    app_version: str | None
    browser_version: str | None


class CommentState(Row):
    """The columns that the right to change a comment depends on; `company_id` is the company it was written for."""

    id: UUID
    bug_id: UUID
    user_id: UUID | None
    company_id: UUID | None
    is_company_response: bool


class AttachmentState(Row):
    """The columns that the right to remove a picture depends on."""

    id: UUID
    uploader_id: UUID | None


class ReportBug(Struct, kw_only=True):
    """`POST /bugs`.

    Attributes:
        title: What is wrong, in one line.
        description: What happens, in Markdown.
        application_name: The application that has the bug; a new one is created.
        priority: The priority; `medium` by default.
        tags: At most ten tags; they are normalised to lower case.
        application_url: The application's URL; its domain determines the company.
        operating_system: The operating system that the bug was seen on.
        device_type: The kind of device.
        app_version: The application's version.
        browser_version: The browser and its version.
        contact_email: The address for questions, of an anonymous report; shown to the reporter, the verified assigned
            company and admins only.
        recaptcha_token: The token of a solved captcha, required for anonymous reports.
    """

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
    """`PATCH /bugs/{id}`: what is absent stays as it is.

    Attributes:
        title: What is wrong, in one line.
        description: What happens, in Markdown.
        tags: At most ten tags, which replace the former ones; null removes all.
        operating_system: The operating system that the bug was seen on.
        device_type: The kind of device.
        app_version: The application's version.
        browser_version: The browser and its version.
    """

    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    tags: Tags | UnsetType | None = UNSET
    operating_system: Technical | UnsetType | None = UNSET
    device_type: Technical | UnsetType | None = UNSET
    app_version: Technical | UnsetType | None = UNSET
    browser_version: Technical | UnsetType | None = UNSET


class FollowReport(Struct, kw_only=True):
    """`PUT /receipts/{secret}/subscription`.

    Attributes:
        level: Which events are mailed: all, official responses and changes of status, or the resolution.
        email: The address, which is mailed a confirmation link; if absent, the address stays.
    """

    level: Level
    email: Annotated[str, OneLine, Meta(max_length=254), Check(email_address)] | None = None


class ChangeStatus(Struct):
    """`PATCH /bugs/{id}/status`.

    Attributes:
        status: The status to set.
    """

    status: Status


class WriteComment(Struct):
    """A comment to write, or its new text.

    Attributes:
        content: The comment, in Markdown.
    """

    content: Content


class BugQuery(CursorQuery, kw_only=True):
    """`GET /bugs`.

    Attributes:
        search: Words in title, description or application name; best matches first.
        status: Bugs with this status.
        priority: Bugs with this priority.
        tags: Bugs that have all of these tags, separated by commas.
        application: A part of the application's name.
        company: A part of the company's name.
        application_id: Bugs of this application.
        company_id: Bugs that are assigned to this company.
        reporter_id: Bugs that this user reported.
        sort: The order; by default `relevance` with a search, else `recent`.
    """

    search: Annotated[str, OneLine, Meta(max_length=500)] | None = None
    status: Status | None = None
    priority: Priority | None = None
    tags: WantedTags | None = None
    application: Annotated[str, OneLine, Meta(max_length=255)] | None = None
    company: Annotated[str, OneLine, Meta(max_length=255)] | None = None
    application_id: UUID | None = None
    company_id: UUID | None = None
    reporter_id: UUID | None = None
    sort: Literal["recent", "popular", "trending", "oldest", "relevance"] | None = None

    @property
    def order(self) -> str:
        """The order that applies: by default relevance with a search, else newest first; relevance needs a search."""
        if self.search is None:
            return "recent" if self.sort in (None, "relevance") else str(self.sort)
        return self.sort or "relevance"


class TagQuery(PageQuery, kw_only=True):
    """`GET /tags`.

    Attributes:
        search: A prefix of the tag.
    """

    search: Annotated[str, OneLine, Meta(max_length=50)] | None = None


class ApplicationRef(Struct):
    """The application that a bug is in.

    Attributes:
        id: The application's id.
        name: Its name.
        url: Its URL, if known.
    """

    id: UUID
    name: str
    url: str | None


class CompanyRef(Struct):
    """The company of an application.

    Attributes:
        id: The company's id.
        name: Its name.
        domain: The registrable domain that identifies it.
        verified: Whether it is verified.
    """

    id: UUID
    name: str
    domain: str
    verified: bool


class UserRef(Struct):
    """A user, by their public name.

    Attributes:
        id: The user's id.
        username: The public name.
        email: The address, for that user and for admins, else null; only in the responses that document it.
    """

    id: UUID
    username: str
    email: str | UnsetType | None = UNSET


class BugItem(Struct, kw_only=True):
    """A bug in a list.

    Attributes:
        id: The bug's id.
        title: What is wrong, in one line.
        description: What happens, in Markdown, as it was typed.
        description_html: The same as safe HTML.
        status: The status.
        priority: The priority.
        tags: Its tags.
        application_id: The application that it is in.
        reporter_id: Who reported it; null for the anonymous and for erased accounts.
        assigned_company_id: The company behind the application, if any.
        vote_count: The number of counted votes.
        comment_count: The number of visible comments.
        created_at: When it was reported.
        updated_at: When it was last changed.
        resolved_at: When it became `fixed` or `wont_fix`; null if it is neither.
    """

    id: UUID
    title: str
    description: str
    description_html: RenderedHtml
    status: Status
    priority: Priority
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
    """A bug with its technical fields, as in responses to its reporter.

    Attributes:
        operating_system: The operating system that the bug was seen on.
        device_type: The kind of device.
        app_version: The application's version.
        browser_version: The browser and its version.
    """

    operating_system: str | None
    device_type: str | None
    app_version: str | None
    browser_version: str | None


class AttachmentOut(Struct, kw_only=True):
    """A picture of a bug.

    Attributes:
        id: The picture's id.
        bug_id: The bug that it is shown with.
        filename: The sender's name for the file.
        file_url: The path of the file.
        file_size: The size of the stored file, in bytes.
        mime_type: The media type of the stored file.
        uploaded_at: When it was added.
    """

    id: UUID
    bug_id: UUID
    filename: str
    file_url: str
    file_size: int
    mime_type: str
    uploaded_at: datetime


class CommentOut(Struct, kw_only=True):
    """A comment.

    Attributes:
        id: The comment's id.
        bug_id: The bug that it is shown with.
        user_id: Who wrote it; null for a note of BugRelay itself and for erased accounts.
        content: The comment in Markdown, as it was typed.
        content_html: The same as safe HTML.
        is_company_response: Whether it is the company's official response.
        created_at: When it was written.
        updated_at: When it was last changed.
        edited_at: When its author last edited it; null if never.
        user: Who wrote it; null for a note of BugRelay itself.
    """

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


class SubscriptionOut(Struct):
    """How the viewer follows a bug.

    Attributes:
        level: Which events they are notified of.
        reason: `chosen` if they chose the level, else the act that it follows from.
    """

    level: Level
    reason: Reason


class BugDetail(BugWithTechnical, kw_only=True):
    """One bug.

    Attributes:
        attachments: Its pictures, oldest first.
        comments: Its latest hundred comments, oldest first.
        voted: Whether the viewer has voted for it; null for the anonymous.
        contact_email: The contact address of the reporter; present only for those who may see it.
        subscription: How the viewer follows it, null if they do not; absent for anonymous viewers.
    """

    attachments: list[AttachmentOut]
    comments: list[CommentOut]
    voted: bool | None
    contact_email: str | UnsetType | None = UNSET
    subscription: SubscriptionOut | UnsetType | None = UNSET


class TagCount(Struct):
    """A tag in use.

    Attributes:
        name: The tag.
        count: The number of listed bugs that have it.
    """

    name: str
    count: int


class HistoryCompany(Struct):
    """The company on whose behalf a change was made.

    Attributes:
        id: The company's id.
        name: Its name.
    """

    id: UUID
    name: str


class HistoryEntry(Struct, kw_only=True):
    """One change; its keys depend on `kind`.

    Attributes:
        id: The entry's id.
        kind: The kind of change.
        at: When it was made.
        user: Who made it; null for erased accounts.
        from_status: The status before, of a change of status.
        to_status: The status after, of a change of status.
        before: The former values of the changed fields, of an edit.
        source_bug_id: The bug that was merged, of a merge.
        target_bug_id: The bug that it was merged into, of a merge.
    """

    id: UUID
    kind: Literal["status", "edit", "merge", "unmerge"]
    at: datetime
    user: UserRef | None
    company: HistoryCompany | None
    from_status: Status | UnsetType = UNSET
    to_status: Status | UnsetType = UNSET
    before: dict[str, Any] | UnsetType = UNSET
    source_bug_id: UUID | UnsetType = UNSET
    target_bug_id: UUID | UnsetType = UNSET


class SurvivorRef(Struct):
    """The bug that another was merged into, by its title.

    Attributes:
        id: The bug's id.
        title: What is wrong, in one line.
    """

    id: UUID
    title: str


class OfficialResponse(Struct):
    """An official response of the application's company.

    Attributes:
        id: The comment's id.
        content: The response in Markdown, as it was typed.
        content_html: The same as safe HTML.
        created_at: When it was written.
        company: The company on whose behalf it was written.
    """

    id: UUID
    content: str
    content_html: RenderedHtml
    created_at: datetime
    company: HistoryCompany | None


class ReceiptBug(Struct, kw_only=True):
    """The public state of a reported bug, or of the one that it was merged into.

    Attributes:
        title: What is wrong, in one line.
        status: The status.
        vote_count: The number of counted votes.
        comment_count: The number of visible comments.
        updated_at: When it was last changed.
        resolved_at: When it became `fixed` or `wont_fix`; null if it is neither.
    """

    title: str
    status: Status
    vote_count: int
    comment_count: int
    updated_at: datetime
    resolved_at: datetime | None


class ReceiptSubscription(Struct):
    """The subscription of a report's owner to mails; the address itself is never shown.

    Attributes:
        level: Which events are mailed: all, official responses and changes of status, or the resolution.
        contact: Whether the address is confirmed; nothing is mailed before that.
    """

    level: Level
    contact: Literal["unconfirmed", "confirmed"]


class Receipt(Struct, kw_only=True):
    """The state of an anonymous report.

    Attributes:
        bug_id: The bug that was reported.
        reported_at: When it was reported.
        state: Whether it is listed, was merged into another bug, or was removed, itself or the bug it was merged into.
        merged_into: The bug that it was merged into; null if it was not.
        bug: The state of that bug, or of the reported one; null if it is removed.
        responses: Its latest official responses, oldest first.
        subscription: The owner's subscription to mails; null without an address.
    """

    bug_id: UUID
    reported_at: datetime
    state: Literal["listed", "merged", "removed"]
    merged_into: SurvivorRef | None
    bug: ReceiptBug | None
    responses: list[OfficialResponse]
    subscription: ReceiptSubscription | None = None
