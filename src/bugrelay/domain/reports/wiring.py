"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.reports import cache
from bugrelay.domain.reports.controllers import ApplicationController, CompanyController
from bugrelay.http.domain import Domain

DOMAIN = Domain(controllers=(CompanyController, ApplicationController), subscribe=cache.subscribe)
