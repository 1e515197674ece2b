"""`/api/v1/tickets/{ticket}/links`: links of a ticket to public bugs."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, delete, post
from litestar.params import JSONBody

from bugrelay.api.tickets.guards import OnTicket, require_ticket_member
from bugrelay.api.tickets.requests import LinkTicket, UnlinkTicket
from bugrelay.api.tickets.responses import TicketLink, TicketLinkResponse, written_as
from bugrelay.domain.links.repository import find_survivor
from bugrelay.domain.links.service.linking import link_ticket, unlink_ticket
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.repository.tickets import find_ticket
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.db.query import Reader

MEMBERS = "a company's members and admins"


class TicketLinkController(Controller):
    path = "/api/v1/tickets/{ticket:str}/links"
    tags = ("Tickets",)

    @post("/")
    @Route(access=tenant_users(MEMBERS), loads=require_ticket_member)
    async def link_ticket(
        self, request: ApiRequest, found: OnTicket, data: JSONBody[LinkTicket]
    ) -> Response[TicketLinkResponse]:
        """Link a ticket to a public bug, or change whether the link carries the status."""
        async with request.platform.work() as work:
            await link_ticket(
                work,
                found.tenant,
                found.ticket_id,
                bug_id=data.bug_id,
                carry_status=bool(data.carry_status),
            )
            response = await link_response(work, found, bug_id=data.bug_id)
        return json_response(response, status=201)

    @delete("/", status_code=200)
    @Route(access=tenant_users(MEMBERS), loads=require_ticket_member)
    async def unlink_ticket(
        self, request: ApiRequest, found: OnTicket, data: JSONBody[UnlinkTicket]
    ) -> Response[Message]:
        """Unlink a ticket from a bug."""
        async with request.platform.work() as work:
            await unlink_ticket(work, found.tenant, found.ticket_id, bug_id=data.bug_id)
        return json_response(Message("Ticket unlinked successfully"))


async def link_response(reader: Reader, found: OnTicket, *, bug_id: UUID) -> TicketLinkResponse:
    """The ticket's link to a bug, or to what that was merged into.

    Raises:
        TicketNotFound: The ticket or the bug was removed meanwhile.
    """
    survivor_id = await find_survivor(reader, bug_id)
    ticket = await find_ticket(reader, found.tenant, found.ticket_id)
    links = [link for link in ticket.links if link.bug_id == survivor_id] if ticket else []
    if not links:
        raise TicketNotFound
    return TicketLinkResponse(written_as(TicketLink, links[0]))
