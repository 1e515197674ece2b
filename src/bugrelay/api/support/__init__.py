"""The support API for a company's product and its reporters, in the form that older clients use."""

from __future__ import annotations

from litestar import Controller

from bugrelay.api.support.comments import ReportCommentController
from bugrelay.api.support.reports import ReportController
from bugrelay.api.support.screenshots import ScreenshotController, ScreenshotFileController

CONTROLLERS: tuple[type[Controller], ...] = (
    ReportController,
    ReportCommentController,
    ScreenshotController,
    ScreenshotFileController,
)
