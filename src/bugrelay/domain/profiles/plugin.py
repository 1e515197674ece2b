"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.infra.plugin import DomainPlugin

PLUGIN = DomainPlugin()
