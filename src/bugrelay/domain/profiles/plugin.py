"""Registers the domain with the application."""

from __future__ import annotations

from bugrelay.infra.plugin import DomainPlugin

PLUGIN = DomainPlugin()
