"""The only list of features, and how they are put on the platform."""

from __future__ import annotations

from bugrelay.domain.accounts import wiring as accounts
from bugrelay.domain.bugs import wiring as bugs
from bugrelay.domain.companies import wiring as companies
from bugrelay.domain.moderation import wiring as moderation
from bugrelay.domain.profiles import wiring as profiles
from bugrelay.domain.reports import wiring as reports
from bugrelay.http.domain import Domain
from bugrelay.infra.platform import Platform, open_platform
from bugrelay.settings import Settings

DOMAINS: tuple[Domain, ...] = (
    accounts.DOMAIN,
    companies.DOMAIN,
    bugs.DOMAIN,
    moderation.DOMAIN,
    profiles.DOMAIN,
    reports.DOMAIN,
)


def build(settings: Settings) -> Platform:
    """The platform with every domain subscribed to its events."""
    platform = open_platform(settings)
    for domain in DOMAINS:
        if domain.subscribe is not None:
            domain.subscribe(platform)
    return platform
