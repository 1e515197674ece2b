"""Live updates: events of a company for its users, and of the board for everybody."""

from __future__ import annotations

from bugrelay.api.live.board import BoardStreamController
from bugrelay.api.live.events import EventsController

CONTROLLERS = (EventsController, BoardStreamController)
