"""Requests of the issue API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from bugrelay.api.issues.words import SCHEME, IssueStatus, Severity, priority_of
from bugrelay.domain.tickets.schemas import (
    MAX_ASSIGNEES,
    Description,
    NewTicket,
    Tag,
    TicketChanges,
    TicketQuery,
    Title,
    Words,
)
from bugrelay.infra.pagination import CursorQuery
from bugrelay.infra.validation import Tags


class CreateIssue(Struct, kw_only=True):
    """`POST /issues`.

    Attributes:
        title: A summary in one line.
        description: The description in Markdown.
        severity: How severe it is; `MEDIUM` by default.
        assignee_id: The assignee, an active member of the company; only members and admins may set it.
        tags: At most ten tags; they are normalised.
    """

    title: Title
    description: Description | None = None
    severity: Severity | None = None
    assignee_id: UUID | None = None
    tags: Tags | None = None

    def wanted(self) -> NewTicket:
        return NewTicket(
            title=self.title,
            description=self.description or "",
            scheme=SCHEME.name,
            priority=priority_of(self.severity or "MEDIUM"),
            assignee_ids=[self.assignee_id] if self.assignee_id else [],
            tags=self.tags or [],
        )


class UpdateIssue(Struct, kw_only=True):
    """`PUT /issues/{id}`: fields that are left out keep their values.

    Attributes:
        title: A summary in one line.
        description: The description in Markdown; null clears it.
        severity: The severity.
        status: The status.
        assignee_id: The assignee, who replaces the former one; null removes all assignees.
        tags: At most ten tags, which replace the present ones; null clears them.
        version: The version that the change is based on; 412 where the current one differs.
    """

    title: Title | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    severity: Severity | UnsetType = UNSET
    status: IssueStatus | UnsetType = UNSET
    assignee_id: UUID | UnsetType | None = UNSET
    tags: Tags | UnsetType | None = UNSET
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None

    def wanted(self, assignee_ids: Sequence[UUID]) -> TicketChanges:
        """
        Args:
            assignee_ids: The ids of the present assignees.
        """
        return TicketChanges(
            title=self.title,
            description=self.description if self.description is not None else "",
            priority=UNSET if self.severity is UNSET else priority_of(self.severity),
            assignee_ids=self._assignee_ids(assignee_ids),
            tags=self.tags if self.tags is not None else [],
        )

    def _assignee_ids(self, former: Sequence[UUID]) -> list[UUID] | UnsetType:
        """The ids of all assignees after the change. It replaces the first; further ones, which tickets may have,
        stay."""
        if self.assignee_id is UNSET:
            return UNSET
        if self.assignee_id is None:
            return []
        if former[:1] == [self.assignee_id]:
            return list(former)
        others = [user_id for user_id in former[1:] if user_id != self.assignee_id]
        return [self.assignee_id, *others][:MAX_ASSIGNEES]


class ListIssues(CursorQuery, kw_only=True):
    """`GET /issues`.

    Attributes:
        status: Issues with this status.
        severity: Issues with this severity.
        assignee_id: Issues that are assigned to this user.
        reporter_id: Issues that this user reported.
        tag: Issues with this tag.
        search: Words to search for in title, key and description; the best matches come first.
    """

    status: IssueStatus | None = None
    severity: Severity | None = None
    assignee_id: UUID | None = None
    reporter_id: UUID | None = None
    tag: Tag | None = None
    search: Words | None = None

    def wanted(self) -> TicketQuery:
        return TicketQuery(
            page=self.page,
            limit=self.limit,
            cursor=self.cursor,
            scheme=SCHEME.name,
            status=self.status,
            priority=None if self.severity is None else priority_of(self.severity),
            assignee_id=self.assignee_id,
            reporter_id=self.reporter_id,
            tag=self.tag,
            q=self.search,
        )
