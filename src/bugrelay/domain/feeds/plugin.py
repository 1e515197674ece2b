"""Registers the domain with the application."""

from __future__ import annotations

from bugrelay.domain.feeds import models  # noqa: F401 - registers its table
from bugrelay.infra.plugin import DomainPlugin

PLUGIN = DomainPlugin()
