"""The ticket API: projects, tickets and what belongs to them, in camelCase, with its own form of errors."""

from __future__ import annotations

from litestar import Controller

from bugrelay.api.tickets.attachments import TicketAttachmentController
from bugrelay.api.tickets.comments import TicketCommentController
from bugrelay.api.tickets.files import TicketFileController
from bugrelay.api.tickets.links import TicketLinkController
from bugrelay.api.tickets.projects import ProjectController
from bugrelay.api.tickets.publication import PublicationController
from bugrelay.api.tickets.reports import ReportController
from bugrelay.api.tickets.subscriptions import TicketSubscriptionController
from bugrelay.api.tickets.tickets import TicketController
from bugrelay.api.tickets.tracking import TrackingController
from bugrelay.api.tickets.workflows import WorkflowController

CONTROLLERS: tuple[type[Controller], ...] = (
    ProjectController,
    TicketController,
    TicketCommentController,
    TicketAttachmentController,
    TicketFileController,
    TicketSubscriptionController,
    PublicationController,
    TicketLinkController,
    TrackingController,
    ReportController,
    WorkflowController,
)
