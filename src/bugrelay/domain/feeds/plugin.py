"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.feeds import models  # noqa: F401 - the table is known to whoever asks for all tables
from bugrelay.infra.plugin import DomainPlugin

PLUGIN = DomainPlugin()
