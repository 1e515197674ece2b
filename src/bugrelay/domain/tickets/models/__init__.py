"""Tables of the private half. Every one has `company_id`, and refers to others of the same company alone."""

from bugrelay.domain.tickets.models.attachments import TicketAttachment
from bugrelay.domain.tickets.models.comments import TicketComment
from bugrelay.domain.tickets.models.projects import Project, TicketNumber
from bugrelay.domain.tickets.models.tickets import (
    SEVERITY,
    Ticket,
    TicketAssignee,
    TicketEdit,
    TicketKey,
    of_ticket,
)

__all__ = [
    "SEVERITY",
    "Project",
    "Ticket",
    "TicketAssignee",
    "TicketAttachment",
    "TicketComment",
    "TicketEdit",
    "TicketKey",
    "TicketNumber",
    "of_ticket",
]
