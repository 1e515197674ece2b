"""What can go wrong with support reports."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class ReportNotFound(BugRelayError):
    code = "REPORT_NOT_FOUND"
    status = 404
    message = "There is no such report"
