"""The only list of domains, and `build`, which subscribes them to events on the platform."""

from __future__ import annotations

from bugrelay.domain.accounts import plugin as accounts
from bugrelay.domain.bugs import plugin as bugs
from bugrelay.domain.companies import plugin as companies
from bugrelay.domain.dashboards import plugin as dashboards
from bugrelay.domain.events import plugin as events
from bugrelay.domain.events.log import EventLog
from bugrelay.domain.feeds import plugin as feeds
from bugrelay.domain.files import plugin as files
from bugrelay.domain.github import plugin as github
from bugrelay.domain.links import plugin as links
from bugrelay.domain.moderation import plugin as moderation
from bugrelay.domain.notifications import plugin as notifications
from bugrelay.domain.profiles import plugin as profiles
from bugrelay.domain.rules import plugin as rules
from bugrelay.domain.support import plugin as support
from bugrelay.domain.tickets import plugin as tickets
from bugrelay.domain.webhooks import plugin as webhooks
from bugrelay.infra.platform import Platform, open_platform
from bugrelay.infra.plugin import DomainPlugin
from bugrelay.settings import Settings

DOMAINS: tuple[DomainPlugin, ...] = (
    events.PLUGIN,
    accounts.PLUGIN,
    files.PLUGIN,
    companies.PLUGIN,
    bugs.PLUGIN,
    tickets.PLUGIN,
    support.PLUGIN,
    moderation.PLUGIN,
    links.PLUGIN,
    feeds.PLUGIN,
    notifications.PLUGIN,
    webhooks.PLUGIN,
    github.PLUGIN,
    rules.PLUGIN,
    profiles.PLUGIN,
    dashboards.PLUGIN,
)


def build(settings: Settings) -> Platform:
    """The platform, with all domains and the event log subscribed to their facts."""
    platform = open_platform(settings)
    for domain in DOMAINS:
        if domain.subscribe is not None:
            domain.subscribe(platform)
    EventLog([domain.log for domain in DOMAINS], redis=platform.redis).follow(platform.bus)
    return platform
