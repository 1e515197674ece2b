"""Who may do what to a ticket that they see (`visibility`); pure functions."""

from __future__ import annotations

from collections.abc import Iterable

from bugrelay.domain.companies.models import ADMIN
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.schemas import AttachmentDetail, TicketState
from bugrelay.domain.tickets.schemes import DONE
from bugrelay.domain.tickets.visibility import sees_all

OWN_FIELDS = frozenset({"title", "description", "tags"})
"""Fields that reporters may change of their own tickets, until these are done."""


def is_admin(tenant: Tenant) -> bool:
    return tenant.role == ADMIN


def may_triage(tenant: Tenant) -> bool:
    """Edit everything, assign, write internal notes and comments, manage projects: members and admins."""
    return sees_all(tenant)


def may_edit(tenant: Tenant, ticket: TicketState, fields: Iterable[str]) -> bool:
    """Change these fields of a visible ticket."""
    if may_triage(tenant):
        return True
    is_own = ticket.reporter_id == tenant.user_id
    return is_own and ticket.category != DONE and OWN_FIELDS.issuperset(fields)


def may_change_status(tenant: Tenant, ticket: TicketState, *, category: str, is_assigned: bool) -> bool:
    """Change the status to one of this category: members, admins and assignees; reporters reopen their own tickets."""
    if may_triage(tenant) or is_assigned:
        return True
    return ticket.reporter_id == tenant.user_id and ticket.category == DONE and category != DONE


def may_see_file(tenant: Tenant, file: AttachmentDetail) -> bool:
    """See a file of a visible ticket; an unfinished upload is visible to its sender and to admins."""
    return file.is_complete or may_delete_file(tenant, file)


def may_complete_file(tenant: Tenant, file: AttachmentDetail) -> bool:
    return file.uploader.id == tenant.user_id


def may_delete_file(tenant: Tenant, file: AttachmentDetail) -> bool:
    """Delete a file: its sender, and the company's admins."""
    return file.uploader.id == tenant.user_id or is_admin(tenant)
