"""Requests of the ticket API: the domain's structs in camelCase."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from bugrelay.domain.tickets.schemas import (
    AssigneeIds,
    Comment,
    Department,
    Description,
    KnownScheme,
    KnownStatus,
    Moment,
    NewProject,
    NewTicket,
    Notes,
    Priority,
    ProjectChanges,
    ProjectDescription,
    ProjectKey,
    ProjectName,
    ProjectVisibility,
    Sort,
    Status,
    Tag,
    TicketChanges,
    TicketQuery,
    Title,
    Words,
)
from bugrelay.domain.tickets.schemes import Category
from bugrelay.infra.pagination import CursorQuery
from bugrelay.infra.validation import Tags, Verbatim

Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]


def _values(struct: Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


class CreateProject(Struct, kw_only=True, rename="camel"):
    """`POST /projects`.

    Attributes:
        key: The prefix of its tickets' keys: two to ten capital letters and digits, a letter first.
        name: Its name.
        description: The description in Markdown.
        scheme: The scheme of its tickets; it cannot be changed later.
        visibility: `company`: the company's reporters see all of its tickets; `team`: only their own.
    """

    key: ProjectKey
    name: ProjectName
    description: ProjectDescription | None = None
    scheme: KnownScheme | None = None
    visibility: ProjectVisibility | None = None

    def wanted(self) -> NewProject:
        return NewProject(
            key=self.key,
            name=self.name,
            description=self.description,
            scheme=self.scheme or "tickets",
            visibility=self.visibility or "team",
        )


class UpdateProject(Struct, kw_only=True, rename="camel"):
    """`PUT /projects/{id}`: fields that are left out keep their values.

    Attributes:
        key: Another key, while the project has had no tickets.
        name: Its name.
        description: The description in Markdown; null clears it.
        scheme: The present scheme; it cannot be changed.
        visibility: `company`: the company's reporters see all of its tickets; `team`: only their own.
        version: The version that the change is based on; 412 where the current one differs.
    """

    key: ProjectKey | UnsetType = UNSET
    name: ProjectName | UnsetType = UNSET
    description: ProjectDescription | UnsetType | None = UNSET
    scheme: KnownScheme | UnsetType = UNSET
    visibility: ProjectVisibility | UnsetType = UNSET
    version: Version | None = None

    def wanted(self) -> ProjectChanges:
        return ProjectChanges(
            key=self.key, name=self.name, description=self.description, visibility=self.visibility
        )


class CreateTicket(Struct, kw_only=True, rename="camel"):
    """`POST /tickets`.

    Attributes:
        title: A summary in one line.
        description: The description in Markdown.
        project_id: The project; by default `TSK`, which is created at first use.
        priority: The priority; `medium` by default.
        department: The department.
        assignee_ids: The assignees: active members of the company; only the team may set them.
        tags: At most ten tags; they are normalised.
    """

    title: Title
    description: Description | None = None
    project_id: UUID | None = None
    priority: Priority | None = None
    department: Department | None = None
    assignee_ids: AssigneeIds | None = None
    tags: Tags | None = None

    def wanted(self) -> NewTicket:
        return NewTicket(
            title=self.title,
            description=self.description or "",
            project_id=self.project_id,
            priority=self.priority or "medium",
            department=self.department,
            assignee_ids=self.assignee_ids or [],
            tags=self.tags or [],
        )


class UpdateTicket(Struct, kw_only=True, rename="camel"):
    """`PUT /tickets/{id}`: fields that are left out keep their values.

    Attributes:
        title: A summary in one line.
        description: The description in Markdown; null clears it.
        project_id: Another project, where the ticket gets another key; the old key redirects to it.
        priority: The priority.
        department: The department; null clears it.
        assignee_ids: The new assignees: active members of the company.
        tags: At most ten tags, which replace the present ones; null clears them.
        internal_notes: Internal notes of the team; null clears them.
        resolution_notes: The resolution notes; null clears them.
        version: The version that the change is based on; 412 where the current one differs.
    """

    title: Title | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    project_id: UUID | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    department: Department | UnsetType | None = UNSET
    assignee_ids: AssigneeIds | UnsetType | None = UNSET
    tags: Tags | UnsetType | None = UNSET
    internal_notes: Notes | UnsetType | None = UNSET
    resolution_notes: Notes | UnsetType | None = UNSET
    version: Version | None = None

    def wanted(self) -> TicketChanges:
        return TicketChanges(
            title=self.title,
            description=self.description if self.description is not None else "",
            project_id=self.project_id,
            priority=self.priority,
            department=self.department,
            assignee_ids=self.assignee_ids if self.assignee_ids is not None else [],
            tags=self.tags if self.tags is not None else [],
            internal_notes=self.internal_notes,
            resolution_notes=self.resolution_notes,
        )


class ChangeTicketStatus(Struct, kw_only=True, rename="camel"):
    """`PATCH /tickets/{id}/status`.

    Attributes:
        status: A word of the ticket's scheme.
        resolution_notes: The resolution notes; null clears them.
        version: The version that the change is based on; 412 where the current one differs.
    """

    status: Status
    resolution_notes: Notes | UnsetType | None = UNSET
    version: Version | None = None


class WriteTicketComment(Struct, kw_only=True, rename="camel"):
    """`POST /tickets/{id}/comments`.

    Attributes:
        content: The comment, in Markdown.
        is_internal: Whether only the company's members and admins may read it; reporters may not set it.
    """

    content: Comment
    is_internal: bool | None = None


class UpdateTicketComment(Struct, kw_only=True, rename="camel"):
    """`PATCH /tickets/{id}/comments/{commentId}`. Who may read it stays.

    Attributes:
        content: The comment, in Markdown.
    """

    content: Comment


class PublishTicket(Struct, kw_only=True, rename="camel"):
    """`POST /tickets/{id}/publication`.

    Attributes:
        token: The token of the preview.
        application_id: The application of the bug; one of the company's.
        carry_status: Whether the ticket's status is carried over to the bug.
        screenshots: The screenshots to publish, by their names in the preview; none by default.
    """

    token: Annotated[str, Verbatim, Meta(max_length=100)]
    application_id: UUID
    carry_status: bool | None = None
    screenshots: (
        Annotated[list[Annotated[str, Verbatim, Meta(max_length=255)]], Meta(max_length=20)] | None
    ) = None


class LinkTicket(Struct, kw_only=True, rename="camel"):
    """`POST /tickets/{id}/links`.

    Attributes:
        bug_id: A public bug.
        carry_status: Whether the ticket's status is carried over to the bug, which must be assigned to the company.
    """

    bug_id: UUID
    carry_status: bool | None = None


class UnlinkTicket(Struct, kw_only=True, rename="camel"):
    """`DELETE /tickets/{id}/links`.

    Attributes:
        bug_id: The linked bug.
    """

    bug_id: UUID


class ListTickets(CursorQuery, kw_only=True, rename="camel"):
    """`GET /tickets`.

    Attributes:
        status: Tickets with this status, a word of any scheme.
        category: Tickets in this category: `todo`, `doing` or `done`.
        priority: Tickets with this priority.
        project_id: Tickets of this project.
        department: Tickets for this department.
        assignee_id: Tickets assigned to this user.
        reporter_id: Tickets that this user reported.
        tag: Tickets with this tag.
        created_from: Tickets from this moment on.
        created_to: Tickets before this moment.
        q: Words to search for in title, key and description.
        sort: The order; by default newest first, or by relevance for `q`.
    """

    status: KnownStatus | None = None
    category: Category | None = None
    priority: Priority | None = None
    project_id: UUID | None = None
    department: Department | None = None
    assignee_id: UUID | None = None
    reporter_id: UUID | None = None
    tag: Tag | None = None
    created_from: Moment | None = None
    created_to: Moment | None = None
    q: Words | None = None
    sort: Sort | None = None

    def wanted(self) -> TicketQuery:
        return TicketQuery(**_values(self))
