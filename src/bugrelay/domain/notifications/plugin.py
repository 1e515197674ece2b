"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.notifications.service.erasure import forget_followers
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    platform.bus.subscribe_durable(forget_followers, AccountErased)


PLUGIN = DomainPlugin(subscribe=subscribe)
