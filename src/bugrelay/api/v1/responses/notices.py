"""Responses about subscriptions and notices."""

from __future__ import annotations

from msgspec import Struct

from bugrelay.domain.bugs.schemas import SubscriptionOut
from bugrelay.domain.notifications.schemas import MySubscription, NoticeOut, NoticeSettingsOut
from bugrelay.http.responses import Message
from bugrelay.infra.pagination import Pagination


class SubscriptionResponse(Message):
    """A subscription that was changed.

    Attributes:
        subscription: My subscription to the bug; null if I do not follow it.
    """

    subscription: SubscriptionOut | None


class MySubscriptionList(Struct):
    """A page of my subscriptions.

    Attributes:
        subscriptions: The subscriptions of this page.
    """

    subscriptions: list[MySubscription]
    pagination: Pagination


class NoticeSettingsResponse(Struct):
    """The settings of my notifications."""

    notice_settings: NoticeSettingsOut


class NoticeSettingsChangedResponse(Message):
    """The changed settings of my notifications."""

    notice_settings: NoticeSettingsOut


class NoticeList(Struct):
    """A page of my notices.

    Attributes:
        notices: The notices of this page.
        unread: The number of unread notices on all pages.
    """

    notices: list[NoticeOut]
    unread: int
    pagination: Pagination


class NoticesReadResponse(Message):
    """Notices that were marked as read.

    Attributes:
        unread: The number of notices that are still unread.
    """

    unread: int
