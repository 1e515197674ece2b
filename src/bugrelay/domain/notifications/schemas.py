"""Subscriptions and notices as they are read and changed; most of these are JSON of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from bugrelay.domain.bugs.schemas import Level, Status, SubscriptionOut, UserRef

MailMode = Literal["each", "digest", "none"]


class Subscribe(Struct):
    """`PUT /bugs/{id}/subscription`.

    Attributes:
        level: `all` events; `official`: responses of the company and changes of status; `resolved`: only a change of
            status to `fixed` or `wont_fix`.
    """

    level: Level


class SubscribedBug(Struct):
    """A bug that the user follows, or that a notice is about.

    Attributes:
        id: The bug's id; that of the survivor, if it was merged.
        title: What is wrong, in one line.
        status: Its status.
    """

    id: UUID
    title: str
    status: Status


class FollowedTicket(Struct):
    """A ticket that a notice is about.

    Attributes:
        id: The ticket's id.
        company_id: The company that it belongs to.
        key: Its key, such as BUG-2026-0001.
        title: What it is about, in one line.
        status: Its status, a value of its project's scheme.
    """

    id: UUID
    company_id: UUID
    key: str
    title: str
    status: str


class MySubscription(SubscriptionOut):
    """A subscription of mine."""

    bug: SubscribedBug


class NoticeSettingsOut(Struct):
    """Settings of my notifications.

    Attributes:
        mail: A mail for `each` event (more than five an hour become one digest), a `digest` a day, or `none`.
        default_level: The maximum level for reporting and commenting; voting always subscribes to `resolved`.
    """

    mail: MailMode
    default_level: Level


class ChangeNoticeSettings(Struct, kw_only=True):
    """`PATCH /users/me/notice-settings`: absent fields are not changed.

    Attributes:
        mail: A mail for `each` event, a `digest` a day, or `none`.
        default_level: The maximum level for reporting and commenting.
    """

    mail: MailMode | UnsetType = UNSET
    default_level: Level | UnsetType = UNSET


class ReadNotices(Struct):
    """`POST /users/me/notices/read`.

    Attributes:
        up_to: The newest notice that was read; all older ones are marked as read, too.
    """

    up_to: UUID


class NoticeEvent(Struct, kw_only=True):
    """The event of a notice.

    Attributes:
        id: The event's id.
        type: The event's type.
        at: When it happened.
        actor: The user who did it; null for anonymous users and for BugRelay itself.
        comment_id: The new comment or response; null for other events.
        from_status: The status before a change of status; else null. For a ticket a value of its project's scheme.
        to_status: The status after a change of status; else null.
    """

    id: str
    type: Literal[
        "comment.created",
        "response.created",
        "status.changed",
        "bug.merged",
        "ticket.commented",
        "ticket.status_changed",
    ]
    at: datetime
    actor: UserRef | None
    comment_id: UUID | None
    from_status: str | None
    to_status: str | None


class NoticeOut(Struct, kw_only=True):
    """A notice of an event.

    Attributes:
        id: The notice's id; newer ones are greater.
        event: The event.
        bug: The bug of the event; null if it is about a ticket.
        ticket: The ticket of the event; null if it is about a bug.
        read_at: When I marked it as read; null while it is unread.
    """

    id: UUID
    event: NoticeEvent
    bug: SubscribedBug | None
    ticket: FollowedTicket | None
    read_at: datetime | None
