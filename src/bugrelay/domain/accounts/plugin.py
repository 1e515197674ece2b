"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.accounts.tasks import TASKS
from bugrelay.infra.plugin import DomainPlugin

PLUGIN = DomainPlugin(tasks=TASKS)
