"""`/api/support/report/{ticket_number}/comments`."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post
from litestar.params import JSONBody
from msgspec import Struct

from bugrelay.api.support.guards import OnReport, load_report
from bugrelay.api.support.reports import WHO_SEES_IT
from bugrelay.api.support.requests import ListReportComments
from bugrelay.api.support.responses import (
    ReportCommentList,
    ReportCommentResponse,
    SupportPage,
    comment_of,
)
from bugrelay.domain.tickets.errors import TicketCommentNotFound
from bugrelay.domain.tickets.repository.comments import find_comment, list_comments
from bugrelay.domain.tickets.schemas import Comment
from bugrelay.domain.tickets.service.comments import write_comment
from bugrelay.http.idempotency import Complete, idempotent
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response, raw_json_response, to_json
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.idempotency import StoredResponse


class WriteReportComment(Struct, kw_only=True):
    """`POST /api/support/report/{ticket_number}/comments`.

    Attributes:
        comment: The comment in Markdown.
        is_internal: Whether only the team may read it; reporters may not set it.
    """

    comment: Comment
    is_internal: bool | None = None


class ReportCommentController(Controller):
    path = "/api/support/report/{ticket_number:str}/comments"
    tags = ("Support",)

    @get("/")
    @Route(access=tenant_users(WHO_SEES_IT), loads=load_report, query=ListReportComments)
    async def list_report_comments(
        self, request: ApiRequest, found: OnReport, query: ListReportComments
    ) -> Response[ReportCommentList]:
        """List the comments on a report that I may read, oldest first."""
        page = query.wanted()
        listed, total = await list_comments(request.platform.database, found.tenant, found.report.id, page)
        comments = [comment_of(one) for one in listed]
        return json_response(ReportCommentList(comments=comments, pagination=SupportPage.of(page, total)))

    @post("/")
    @Route(access=tenant_users(WHO_SEES_IT), loads=load_report, idempotent=True)
    async def write_report_comment(
        self, request: ApiRequest, found: OnReport, data: JSONBody[WriteReportComment]
    ) -> Response[ReportCommentResponse]:
        """Comment on a report; members and admins also internally."""
        tenant, ticket_id = found.tenant, found.report.id

        async def work(complete: Complete) -> Response[Any]:
            async with request.platform.work() as unit:
                comment_id = await write_comment(
                    unit, tenant, ticket_id, content=data.comment, is_internal=bool(data.is_internal)
                )
                written = await find_comment(unit, tenant, ticket_id, comment_id)
                if written is None:
                    raise TicketCommentNotFound
                body = to_json(ReportCommentResponse(comment=comment_of(written)))
                await complete(unit, StoredResponse(201, body))
            return raw_json_response(body, status=201)

        return await idempotent(request, work, of=tenant.company_id)
