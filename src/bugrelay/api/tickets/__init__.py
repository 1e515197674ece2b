"""The ticket API: projects, tickets and what belongs to them, in camel case, with errors of their own form."""

from __future__ import annotations

from litestar import Controller

from bugrelay.api.tickets.comments import TicketCommentController
from bugrelay.api.tickets.projects import ProjectController
from bugrelay.api.tickets.tickets import TicketController

CONTROLLERS: tuple[type[Controller], ...] = (ProjectController, TicketController, TicketCommentController)
