"""`/api/support`: send a report, list one's own, show one."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post
from litestar.params import JSONBody

from bugrelay.api.support.guards import OnReport, admit_report, load_report
from bugrelay.api.support.requests import ListReports, SendReport
from bugrelay.api.support.responses import (
    ReportSent,
    SupportPage,
    SupportReportList,
    SupportReportResponse,
    items_of,
    report_of,
)
from bugrelay.api.tenant import require_tenant
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.support.repository import list_own_reports
from bugrelay.domain.support.service.reporting import send_report
from bugrelay.http.idempotency import Complete, idempotent
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response, raw_json_response, to_json
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.idempotency import StoredResponse

WHO_SEES_IT = "its reporter, the company's members and admins"


class ReportController(Controller):
    path = "/api/support"
    tags = ("Support",)

    @post("/report")
    @Route(access=tenant_users(), loads=admit_report, idempotent=True)
    async def send_report(
        self, request: ApiRequest, tenant: Tenant, data: JSONBody[SendReport]
    ) -> Response[ReportSent]:
        """Report a problem to the company behind a product."""

        async def work(complete: Complete) -> Response[Any]:
            async with request.platform.work() as unit:
                body = to_json(ReportSent.of(await send_report(unit, tenant, data.wanted())))
                await complete(unit, StoredResponse(201, body))
            return raw_json_response(body, status=201)

        return await idempotent(request, work, of=tenant.company_id)

    @get("/reports")
    @Route(access=tenant_users(), loads=require_tenant, query=ListReports)
    async def list_reports(
        self, request: ApiRequest, tenant: Tenant, query: ListReports
    ) -> Response[SupportReportList]:
        """List what I have reported, the newest first."""
        page = query.wanted()
        found, total = await list_own_reports(request.platform.database, tenant, page, status=query.status)
        return json_response(
            SupportReportList(reports=items_of(found), pagination=SupportPage.of(page, total))
        )

    @get("/report/{ticket_number:str}")
    @Route(access=tenant_users(WHO_SEES_IT), loads=load_report)
    async def get_report(self, found: OnReport) -> Response[SupportReportResponse]:
        """Show one report."""
        return json_response(SupportReportResponse(report=report_of(found.report, found.tenant)))
