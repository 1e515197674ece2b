"""What is read and written of subscriptions and notices; most of it goes over the wire."""

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
        level: `all` that happens; `official`: responses of the company and changes of status; `resolved`: that it was
            fixed, or will not be.
    """

    level: Level


class SubscribedBug(Struct):
    """A bug that is followed, or that a notice is about.

    Attributes:
        id: The bug's id; of the survivor, where it was merged away.
        title: What is wrong, in one line.
        status: How far it is.
    """

    id: UUID
    title: str
    status: Status


class FollowedTicket(Struct):
    """A ticket that a notice is about.

    Attributes:
        id: The ticket's id.
        company_id: The company that it belongs to.
        key: What people call it.
        title: What it is about, in one line.
        status: How far it is, a word of its project's scheme.
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
    """How I am told.

    Attributes:
        mail: A mail for `each` event (more than five an hour become one digest), a `digest` a day, or `none`.
        default_level: The most that reporting and commenting subscribe me to; voting always subscribes to `resolved`.
    """

    mail: MailMode
    default_level: Level


class ChangeNoticeSettings(Struct, kw_only=True):
    """`PATCH /users/me/notice-settings`: what is absent stays as it is.

    Attributes:
        mail: A mail for `each` event, a `digest` a day, or `none`.
        default_level: The most that reporting and commenting subscribe me to.
    """

    mail: MailMode | UnsetType = UNSET
    default_level: Level | UnsetType = UNSET


class ReadNotices(Struct):
    """`POST /users/me/notices/read`.

    Attributes:
        up_to: The newest notice that was read; all that are older are read with it.
    """

    up_to: UUID


class NoticeEvent(Struct, kw_only=True):
    """What has happened.

    Attributes:
        id: The event's id.
        type: What it is.
        at: When it happened.
        actor: Who did it; null for the anonymous and for BugRelay itself.
        comment_id: The comment or response that was written; null for other events.
        from_status: The status before, of a change of status; else null. Of a ticket a word of its project's scheme.
        to_status: The status after, of a change of status; else null.
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
    """That I am told of an event.

    Attributes:
        id: The notice's id; newer ones are greater.
        event: What has happened.
        bug: The bug that it has happened to; null where it is a ticket.
        ticket: The ticket that it has happened to; null where it is a bug.
        read_at: When I read it; null while I have not.
    """

    id: UUID
    event: NoticeEvent
    bug: SubscribedBug | None
    ticket: FollowedTicket | None
    read_at: datetime | None
