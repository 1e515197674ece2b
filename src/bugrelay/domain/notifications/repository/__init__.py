"""Every SELECT of notifications."""

from bugrelay.domain.notifications.repository.mails import (
    MailedNotice,
    is_mail_due,
    lock_due_mails,
    mailed_notices,
)
from bugrelay.domain.notifications.repository.notices import list_notices, unread_count
from bugrelay.domain.notifications.repository.subscriptions import (
    list_subscriptions,
    settings_of,
    subscription_of,
    survivor_of,
    title_of,
)

__all__ = [
    "MailedNotice",
    "is_mail_due",
    "list_notices",
    "list_subscriptions",
    "lock_due_mails",
    "mailed_notices",
    "settings_of",
    "subscription_of",
    "survivor_of",
    "title_of",
    "unread_count",
]
