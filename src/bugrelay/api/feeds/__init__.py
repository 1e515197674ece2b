"""Feeds in Atom under `/feeds`."""

from __future__ import annotations

from litestar import Controller

from bugrelay.api.feeds.bugs import BugsFeedController
from bugrelay.api.feeds.events import BugFeedController

CONTROLLERS: tuple[type[Controller], ...] = (BugsFeedController, BugFeedController)
