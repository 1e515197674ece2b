"""Tables of the private half. Each has `company_id`, and references only rows of the same company."""

from bugrelay.domain.tickets.models.attachments import TicketAttachment
from bugrelay.domain.tickets.models.comments import TicketComment
from bugrelay.domain.tickets.models.projects import Project, ProjectKey, TicketNumber
from bugrelay.domain.tickets.models.search import (
    TicketSearch,
    ticket_count_changes,
    ticket_counts,
    ticket_kept_totals,
    ticket_search_changes,
    ticket_search_era,
)
from bugrelay.domain.tickets.models.statistics import DailyStats, DailyStatsDay
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
    "DailyStats",
    "DailyStatsDay",
    "Project",
    "ProjectKey",
    "Ticket",
    "TicketAssignee",
    "TicketAttachment",
    "TicketComment",
    "TicketEdit",
    "TicketKey",
    "TicketNumber",
    "TicketSearch",
    "of_ticket",
    "ticket_count_changes",
    "ticket_counts",
    "ticket_kept_totals",
    "ticket_search_changes",
    "ticket_search_era",
]
