"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.support import models  # noqa: F401 - tables
from bugrelay.infra.plugin import DomainPlugin

PLUGIN = DomainPlugin()
