"""Registers the domain with the application."""

from __future__ import annotations

from bugrelay.domain.events import models  # noqa: F401 - tables
from bugrelay.domain.events.tasks import TASKS
from bugrelay.infra.plugin import DomainPlugin

PLUGIN = DomainPlugin(tasks=TASKS)
