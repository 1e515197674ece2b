"""Registers the domain with the application."""

from __future__ import annotations

from bugrelay.domain.accounts.tasks import TASKS
from bugrelay.infra.plugin import DomainPlugin

PLUGIN = DomainPlugin(tasks=TASKS)
