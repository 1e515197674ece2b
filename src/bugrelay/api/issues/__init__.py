"""The issue API: issues of companies and their files, in snake_case, with the upper-case terms of its clients."""

from __future__ import annotations

from litestar import Controller

from bugrelay.api.issues.files import IssueFileController
from bugrelay.api.issues.issues import IssueController
from bugrelay.api.issues.stats import StatsController

CONTROLLERS: tuple[type[Controller], ...] = (IssueController, IssueFileController, StatsController)
