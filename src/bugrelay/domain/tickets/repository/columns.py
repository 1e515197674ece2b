"""Columns and parameters that statements about tickets share."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Label, Text, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from bugrelay.domain.accounts.models import User
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.models import Ticket, TicketAssignee
from bugrelay.domain.tickets.schemas import LinkedBug, TicketUser
from bugrelay.domain.tickets.visibility import COMPANY_ID

decoded_users = msgspec.json.Decoder(list[TicketUser]).decode
decoded_links = msgspec.json.Decoder(list[LinkedBug]).decode

NAME: ColumnElement[str] = func.coalesce(User.display_name, User.username)


def values_of(tenant: Tenant, **values: Any) -> dict[str, Any]:
    """The parameters that every statement has, and those of this one."""
    return {"company_id": tenant.company_id, "user_id": tenant.user_id, **values}


def users_json(order: Any) -> ColumnElement[str]:
    """The joined users as a JSON array of `TicketUser`, as text; empty without any."""
    one = func.jsonb_build_object(
        literal_column("'id'"),
        User.id,
        literal_column("'username'"),
        User.username,
        literal_column("'name'"),
        NAME,
    )
    found = cast(func.jsonb_agg(aggregate_order_by(one, order)), Text)
    return func.coalesce(found, literal_column("'[]'"))


def links() -> Label[str]:
    """The public bugs that the ticket of the row is linked to, as a JSON array of `LinkedBug`; null without any."""
    return func.links_of_ticket(COMPANY_ID, Ticket.id, type_=Text).label("links")


def assignees() -> Label[str]:
    """The assignees of the ticket of the row, in order."""
    return (
        select(users_json(TicketAssignee.position))
        .select_from(TicketAssignee)
        .join(User, User.id == TicketAssignee.user_id)
        .where(TicketAssignee.company_id == COMPANY_ID, TicketAssignee.ticket_id == Ticket.id)
        .correlate(Ticket)
        .scalar_subquery()
        .label("assignees")
    )
