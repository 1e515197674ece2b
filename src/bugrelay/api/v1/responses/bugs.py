"""Responses about bugs, their comments, pictures and votes, and about receipts."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from bugrelay.domain.bugs.schemas import (
    AttachmentOut,
    BugDetail,
    BugItem,
    BugWithTechnical,
    CommentOut,
    HistoryEntry,
    Receipt,
    ReceiptSubscription,
    TagCount,
)
from bugrelay.http.responses import Message
from bugrelay.infra.pagination import CursorPagination, Pagination


class BugResponse(Struct):
    """One bug."""

    bug: BugDetail


class BugChangedResponse(Message):
    """A bug that was reported or changed."""

    bug: BugWithTechnical


class ReceiptLink(Struct):
    """The receipt of an anonymous report; it is not shown again.

    Attributes:
        url: The link, whose holder owns the report.
    """

    url: str


class BugReportedResponse(BugChangedResponse):
    """A bug that was reported.

    Attributes:
        receipt: Present for anonymous reports only.
    """

    receipt: ReceiptLink | UnsetType = UNSET


class ReceiptResponse(Struct):
    """The state of an anonymous report."""

    receipt: Receipt


class ReceiptSubscriptionResponse(Message):
    """The changed subscription of a report's owner."""

    subscription: ReceiptSubscription


class WithdrawnResponse(Message):
    """A report that was withdrawn.

    Attributes:
        removed: Whether the bug was removed.
    """

    removed: bool


class BugList(Struct):
    """A page of bugs.

    Attributes:
        bugs: The bugs of this page.
        match: For a search: whether the first bug of the page has all of its words, or some.
        ranked: True if no bug has all words of a search, and the total counts the bugs with some of them.
    """

    bugs: list[BugItem]
    pagination: CursorPagination
    match: Literal["all", "some"] | UnsetType = UNSET
    ranked: bool | UnsetType = UNSET


class VoteResponse(Message):
    """A vote, cast or withdrawn.

    Attributes:
        voted: Whether I have a vote for the bug now.
        vote_count: The number of counted votes.
    """

    voted: bool
    vote_count: int


class CommentResponse(Message):
    """A comment that was written or edited."""

    comment: CommentOut


class CommentList(Struct):
    """A page of comments."""

    comments: list[CommentOut]
    pagination: Pagination


class AttachmentResponse(Message):
    """A picture that was added."""

    attachment: AttachmentOut


class TagList(Struct):
    """A page of tags.

    Attributes:
        tags: The tags of this page.
    """

    tags: list[TagCount]
    pagination: Pagination


class HistoryList(Struct):
    """A page of changes."""

    history: list[HistoryEntry]
    pagination: Pagination
