"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.tickets import (
    event_log,
    models,  # noqa: F401 - tables
)
from bugrelay.domain.tickets.tasks import TASKS
from bugrelay.infra.plugin import DomainPlugin

PLUGIN = DomainPlugin(log=event_log.ENTRIES, tasks=TASKS)
