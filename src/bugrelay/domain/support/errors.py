"""Errors of support reports."""

from __future__ import annotations

from bugrelay.errors import BugRelayError, PayloadTooLarge


class ReportNotFound(BugRelayError):
    code = "REPORT_NOT_FOUND"
    status = 404
    message = "There is no report with this number"


class ScreenshotTooLarge(PayloadTooLarge):
    """A picture of more than MAX_SCREENSHOT_SIZE_MB."""

    @classmethod
    def of(cls, max_bytes: int) -> ScreenshotTooLarge:
        return cls(f"The screenshot is larger than {max_bytes // 1024**2} MiB")
