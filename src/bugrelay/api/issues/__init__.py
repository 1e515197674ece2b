"""The issue API: issues of companies, in snake case, with upper-case words of its own."""

from __future__ import annotations

from litestar import Controller

from bugrelay.api.issues.issues import IssueController

CONTROLLERS: tuple[type[Controller], ...] = (IssueController,)
