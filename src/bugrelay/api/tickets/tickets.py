"""`/api/v1/tickets`: create, list, show, change, remove, restore; history, and blanking of its texts."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, delete, get, patch, post, put
from litestar.params import JSONBody

from bugrelay.api.tenant import require_tenant
from bugrelay.api.tickets.guards import (
    OnHistoryEntry,
    OnTicket,
    load_removed_or_not,
    load_ticket,
    load_ticket_detail,
    require_history_admin,
    require_ticket_admin,
)
from bugrelay.api.tickets.requests import ChangeTicketStatus, CreateTicket, ListTickets, UpdateTicket
from bugrelay.api.tickets.responses import (
    CursorPageOut,
    PageOut,
    TicketDetailOut,
    TicketHistory,
    TicketList,
    TicketOut,
    TicketResponse,
    all_written_as,
    history_written,
    written_as,
)
from bugrelay.api.versions import etag, expected_versions
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.repository.history import list_history
from bugrelay.domain.tickets.repository.tickets import find_ticket
from bugrelay.domain.tickets.schemas import TicketDetail
from bugrelay.domain.tickets.search.service import list_tickets
from bugrelay.domain.tickets.service.blanking import blank_history_text
from bugrelay.domain.tickets.service.creating import create_ticket
from bugrelay.domain.tickets.service.editing import edit_ticket
from bugrelay.domain.tickets.service.removal import remove_ticket, restore_ticket
from bugrelay.domain.tickets.service.statuses import change_status
from bugrelay.http.idempotency import Complete, idempotent
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response, raw_json_response, to_json
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.db.query import Reader
from bugrelay.infra.idempotency import StoredResponse
from bugrelay.infra.pagination import PageQuery, Pagination

ADMINS = "a company's admins"


class TicketController(Controller):
    path = "/api/v1/tickets"
    tags = ("Tickets",)

    @get("/")
    @Route(access=tenant_users(), loads=require_tenant, query=ListTickets)
    async def list_tickets(
        self, request: ApiRequest, tenant: Tenant, query: ListTickets
    ) -> Response[TicketList]:
        """List, search, filter and sort the tickets that I see."""
        platform = request.platform
        async with platform.database.reading() as reader:
            page = await list_tickets(reader, platform.counts, tenant, query=query.wanted())
        pagination = written_as(CursorPageOut, page.pagination)
        return json_response(TicketList(all_written_as(TicketOut, page.tickets), pagination))

    @post("/")
    @Route(access=tenant_users(), loads=require_tenant, idempotent=True)
    async def create_ticket(
        self, request: ApiRequest, tenant: Tenant, data: JSONBody[CreateTicket]
    ) -> Response[TicketResponse]:
        """Report a ticket.

        Without a project it goes to `TSK`, which is created at first use.
        """

        async def work(complete: Complete) -> Response[Any]:
            async with request.platform.work() as unit:
                ticket = await create_ticket(unit, tenant, data.wanted())
                body = to_json(TicketResponse(written_as(TicketDetailOut, ticket)))
                await complete(unit, StoredResponse(201, body))
            return raw_json_response(body, status=201, headers=etag(ticket.version))

        return await idempotent(request, work, of=tenant.company_id)

    @get("/{ticket:str}")
    @Route(access=tenant_users(), loads=load_ticket_detail)
    async def get_ticket(self, ticket: TicketDetail) -> Response[TicketResponse]:
        """Show one ticket."""
        return _response(ticket)

    @put("/{ticket:str}")
    @Route(access=tenant_users(), loads=load_ticket, errors=(412,))
    async def update_ticket(
        self, request: ApiRequest, found: OnTicket, data: JSONBody[UpdateTicket]
    ) -> Response[TicketResponse]:
        """Change a ticket, or move it to another project; fields that are left out keep their values."""
        expected = expected_versions(request, data.version)
        async with request.platform.work() as work:
            await edit_ticket(work, found.tenant, found.ticket_id, data.wanted(), expected=expected)
            return await _shown(work, found)

    @patch("/{ticket:str}/status")
    @Route(access=tenant_users(), loads=load_ticket, errors=(412,))
    async def change_ticket_status(
        self, request: ApiRequest, found: OnTicket, data: JSONBody[ChangeTicketStatus]
    ) -> Response[TicketResponse]:
        """Change the status, as the ticket's scheme allows."""
        expected = expected_versions(request, data.version)
        async with request.platform.work() as work:
            await change_status(
                work,
                found.tenant,
                found.ticket_id,
                status=data.status,
                resolution_notes=data.resolution_notes,
                expected=expected,
            )
            return await _shown(work, found)

    @delete("/{ticket:str}", status_code=200)
    @Route(access=tenant_users(ADMINS), loads=require_ticket_admin)
    async def remove_ticket(self, request: ApiRequest, found: OnTicket) -> Response[Message]:
        """Remove a ticket; its number is not reused."""
        async with request.platform.work() as work:
            await remove_ticket(work, found.tenant, found.ticket_id)
        return json_response(Message("Ticket removed successfully"))

    @post("/{ticket:str}/restore", status_code=200)
    @Route(access=tenant_users(ADMINS), loads=load_removed_or_not)
    async def restore_ticket(self, request: ApiRequest, found: OnTicket) -> Response[TicketResponse]:
        """Restore a removed ticket."""
        async with request.platform.work() as work:
            await restore_ticket(work, found.tenant, found.ticket_id)
            return await _shown(work, found)

    @get("/{ticket:str}/history")
    @Route(access=tenant_users(), loads=load_ticket, query=PageQuery)
    async def list_ticket_history(
        self, request: ApiRequest, found: OnTicket, query: PageQuery
    ) -> Response[TicketHistory]:
        """List the history of a ticket, oldest first."""
        database = request.platform.database
        entries, total = await list_history(database, found.tenant, found.ticket_id, query)
        pagination = written_as(PageOut, Pagination.of(query, total))
        return json_response(TicketHistory(history_written(entries), pagination))

    @post("/{ticket:str}/history/{entry:str}/blank", status_code=200)
    @Route(access=tenant_users(ADMINS), loads=require_history_admin)
    async def blank_history_text(self, request: ApiRequest, found: OnHistoryEntry) -> Response[Message]:
        """Blank the long text of an entry of the history, wherever it stands there; the ticket keeps what it has."""
        async with request.platform.work() as work:
            await blank_history_text(work, found.tenant, found.ticket_id, found.entry)
        return json_response(Message("Text blanked successfully"))


async def _shown(reader: Reader, found: OnTicket) -> Response[TicketResponse]:
    """
    Raises:
        TicketNotFound: The reader does not see it any more.
    """
    ticket = await find_ticket(reader, found.tenant, found.ticket_id)
    if ticket is None:
        raise TicketNotFound
    return _response(ticket)


def _response(ticket: TicketDetail) -> Response[TicketResponse]:
    body = TicketResponse(written_as(TicketDetailOut, ticket))
    return json_response(body, headers=etag(ticket.version))
