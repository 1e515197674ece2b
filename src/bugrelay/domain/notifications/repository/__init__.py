"""Every SELECT of notifications, a file for each kind of thing."""

from bugrelay.domain.notifications.repository.notices import list_notices, unread_count
from bugrelay.domain.notifications.repository.subscriptions import (
    list_subscriptions,
    settings_of,
    subscription_of,
)

__all__ = ["list_notices", "list_subscriptions", "settings_of", "subscription_of", "unread_count"]
