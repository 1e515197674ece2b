"""`/api/v1/tickets/{ticket}/subscription`: what a user is notified of about a ticket."""

from __future__ import annotations

from litestar import Controller, Response, delete, put
from litestar.params import JSONBody

from bugrelay.api.tickets.guards import OnTicket, load_ticket
from bugrelay.api.tickets.responses import TicketSubscriptionResponse
from bugrelay.domain.notifications.schemas import Subscribe
from bugrelay.domain.notifications.service import subscriptions
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.repository.tickets import find_ticket
from bugrelay.domain.tickets.schemas import TicketSubscription
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.db.query import Reader


class TicketSubscriptionController(Controller):
    path = "/api/v1/tickets/{ticket:str}/subscription"
    tags = ("Tickets",)

    @put("/")
    @Route(access=tenant_users(), loads=load_ticket)
    async def subscribe_to_ticket(
        self, request: ApiRequest, found: OnTicket, data: JSONBody[Subscribe]
    ) -> Response[TicketSubscriptionResponse]:
        """Follow a ticket at a level, whatever follows from what I did there."""
        async with request.platform.work() as work:
            await subscriptions.subscribe_to_ticket(work, found.tenant, found.ticket_id, level=data.level)
            now = await _subscription(work, found)
        return json_response(TicketSubscriptionResponse("Subscribed", now))

    @delete("/", status_code=200)
    @Route(access=tenant_users(), loads=load_ticket)
    async def unsubscribe_from_ticket(
        self, request: ApiRequest, found: OnTicket
    ) -> Response[TicketSubscriptionResponse]:
        """Follow a ticket no more, whatever I did or will do there."""
        async with request.platform.work() as work:
            await subscriptions.unsubscribe_from_ticket(work, found.tenant, found.ticket_id)
        return json_response(TicketSubscriptionResponse("Unsubscribed", None))


async def _subscription(reader: Reader, found: OnTicket) -> TicketSubscription | None:
    """
    Raises:
        TicketNotFound: It is out of the reader's sight since the request was let in.
    """
    ticket = await find_ticket(reader, found.tenant, found.ticket_id)
    if ticket is None:
        raise TicketNotFound
    return ticket.subscription
