"""`/api/v1/tickets/{ticket}/comments`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import JSONBody

from bugrelay.api.tickets.guards import OnComment, OnTicket, load_comment, load_ticket
from bugrelay.api.tickets.requests import UpdateTicketComment, WriteTicketComment
from bugrelay.api.tickets.responses import (
    PageOut,
    TicketCommentList,
    TicketCommentOut,
    TicketCommentResponse,
    all_written_as,
    written_as,
)
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.errors import TicketCommentNotFound
from bugrelay.domain.tickets.repository.comments import find_comment, list_comments
from bugrelay.domain.tickets.service.comments import update_comment, withdraw_comment, write_comment
from bugrelay.http.idempotency import Complete, idempotent
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response, raw_json_response, to_json
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.db.query import Reader
from bugrelay.infra.idempotency import StoredResponse
from bugrelay.infra.pagination import PageQuery, Pagination


class TicketCommentController(Controller):
    path = "/api/v1/tickets/{ticket:str}/comments"
    tags = ("Tickets",)

    @get("/")
    @Route(access=tenant_users(), loads=load_ticket, query=PageQuery)
    async def list_ticket_comments(
        self, request: ApiRequest, found: OnTicket, query: PageQuery
    ) -> Response[TicketCommentList]:
        """List the comments that I may read, oldest first."""
        database = request.platform.database
        listed, total = await list_comments(database, found.tenant, found.ticket_id, query)
        pagination = written_as(PageOut, Pagination.of(query, total))
        return json_response(TicketCommentList(all_written_as(TicketCommentOut, listed), pagination))

    @post("/")
    @Route(access=tenant_users(), loads=load_ticket, idempotent=True)
    async def write_ticket_comment(
        self, request: ApiRequest, found: OnTicket, data: JSONBody[WriteTicketComment]
    ) -> Response[TicketCommentResponse]:
        """Comment on a ticket; members and admins also internally."""
        tenant, ticket_id = found.tenant, found.ticket_id

        async def work(complete: Complete) -> Response[Any]:
            async with request.platform.work() as unit:
                comment_id = await write_comment(
                    unit, tenant, ticket_id, content=data.content, is_internal=bool(data.is_internal)
                )
                written = await _written(unit, tenant, ticket_id, comment_id=comment_id)
                body = to_json(TicketCommentResponse(written))
                await complete(unit, StoredResponse(201, body))
            return raw_json_response(body, status=201)

        return await idempotent(request, work, of=tenant.company_id)

    @patch("/{comment_id:str}")
    @Route(access=tenant_users("author"), loads=load_comment)
    async def update_ticket_comment(
        self, request: ApiRequest, found: OnComment, data: JSONBody[UpdateTicketComment]
    ) -> Response[TicketCommentResponse]:
        """Edit my comment on a ticket."""
        async with request.platform.work() as work:
            await update_comment(
                work, found.tenant, found.ticket_id, comment_id=found.comment_id, content=data.content
            )
            written = await _written(work, found.tenant, found.ticket_id, comment_id=found.comment_id)
        return json_response(TicketCommentResponse(written))

    @delete("/{comment_id:str}", status_code=200)
    @Route(access=tenant_users("author"), loads=load_comment)
    async def withdraw_ticket_comment(self, request: ApiRequest, found: OnComment) -> Response[Message]:
        """Withdraw my comment on a ticket."""
        async with request.platform.work() as work:
            await withdraw_comment(work, found.tenant, found.ticket_id, comment_id=found.comment_id)
        return json_response(Message("Comment withdrawn successfully"))


async def _written(reader: Reader, tenant: Tenant, ticket_id: UUID, *, comment_id: UUID) -> TicketCommentOut:
    comment = await find_comment(reader, tenant, ticket_id, comment_id)
    if comment is None:
        raise TicketCommentNotFound
    return written_as(TicketCommentOut, comment)
