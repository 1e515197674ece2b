"""Registers the domain with the application."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bugrelay.domain.events.consumers import Consumer
from bugrelay.domain.links import (
    event_log,
    models,  # noqa: F401 - tables
)
from bugrelay.domain.links.service.propagation import propagate_events
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def consumers(platform: Platform) -> Sequence[Consumer]:
    return (Consumer("links", partial(propagate_events, site=platform.settings.public_url)),)


PLUGIN = DomainPlugin(log=event_log.ENTRIES, consumers=consumers)
