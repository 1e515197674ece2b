"""`/api/support`: send a report, list own reports, show one."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post

from bugrelay.api.support.bodies import read_report
from bugrelay.api.support.guards import OnReport, admit_report, load_report, require_report_member
from bugrelay.api.support.requests import ListReports, SendReport
from bugrelay.api.support.responses import (
    ReportSent,
    ReportSynced,
    SupportFile,
    SupportPage,
    SupportReportList,
    SupportReportResponse,
    items_of,
    report_of,
)
from bugrelay.api.support.screenshots import screenshot_url
from bugrelay.api.tenant import require_tenant
from bugrelay.api.tenant_files import download_link
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.github.repository import syncs_of
from bugrelay.domain.github.service.queueing import request_push
from bugrelay.domain.support.repository import list_own_reports
from bugrelay.domain.support.service.captures import prepare_record
from bugrelay.domain.support.service.confirmation import queue_confirmation
from bugrelay.domain.support.service.reporting import send_report
from bugrelay.domain.support.service.screenshots import with_picture
from bugrelay.domain.tickets.repository.attachments import list_attachments
from bugrelay.domain.tickets.schemas import AttachmentDetail
from bugrelay.domain.tickets.service.attachments import MAX_ATTACHMENTS
from bugrelay.http.idempotency import Complete, idempotent
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response, raw_json_response, to_json
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.idempotency import StoredResponse
from bugrelay.infra.pagination import PageQuery
from bugrelay.infra.viewer import SignedInViewer

WHO_SEES_IT = "its reporter, the company's members and admins"


class ReportController(Controller):
    path = "/api/support"
    tags = ("Support",)

    @post("/report", request_max_body_size=None)
    @Route(access=tenant_users(), loads=admit_report, idempotent=True, reads=SendReport, upload="screenshot")
    async def send_report(
        self, request: ApiRequest, tenant: Tenant, viewer: SignedInViewer
    ) -> Response[ReportSent]:
        """Report a problem to the company behind a product.

        As JSON, or as a multipart form with the JSON in the part `report` and a picture in the part `screenshot`.
        Secrets in the capture are redacted before any of it is stored.
        """
        platform, sent = request.platform, await read_report(request)

        async def work(complete: Complete) -> Response[Any]:
            record = await prepare_record(
                sent.fields.record(), size_bytes=sent.size_bytes, computing=platform.computing
            )
            may_mail = await platform.mail_limits.take(viewer.email) == 0
            unit = platform.work()
            async with with_picture(
                unit,
                sent.picture,
                uploader=str(tenant.user_id),
                images=platform.images,
                storage=platform.storage,
            ) as file:
                ticket = await send_report(unit, tenant, sent.fields.wanted(), record=record, screenshot=file)
                if may_mail:
                    await queue_confirmation(unit, tenant, ticket_id=ticket.id, jobs=platform.jobs)
                syncs = await syncs_of(unit, tenant.company_id, [ticket.id])
                body = to_json(ReportSent.of(ticket, syncs.get(ticket.id)))
                await complete(unit, StoredResponse(201, body))
            return raw_json_response(body, status=201)

        return await idempotent(request, work, of=tenant.company_id)

    @get("/reports")
    @Route(access=tenant_users(), loads=require_tenant, query=ListReports)
    async def list_reports(
        self, request: ApiRequest, tenant: Tenant, query: ListReports
    ) -> Response[SupportReportList]:
        """List my reports, newest first."""
        page = query.wanted()
        database = request.platform.database
        found, total = await list_own_reports(database, tenant, page, status=query.status)
        syncs = await syncs_of(database, tenant.company_id, [report.id for report in found])
        return json_response(
            SupportReportList(reports=items_of(found, syncs), pagination=SupportPage.of(page, total))
        )

    @get("/report/{ticket_number:str}")
    @Route(access=tenant_users(WHO_SEES_IT), loads=load_report)
    async def get_report(self, request: ApiRequest, found: OnReport) -> Response[SupportReportResponse]:
        """Show one report."""
        tenant, report = found.tenant, found.report
        files = await list_attachments(
            request.platform.database, tenant, ticket_id=report.id, page=PageQuery(limit=MAX_ATTACHMENTS)
        )
        syncs = await syncs_of(request.platform.database, tenant.company_id, [report.id])
        shown = report_of(
            report,
            tenant,
            screenshot_url=screenshot_url(request, tenant, report.screenshot) if report.screenshot else None,
            sync=syncs.get(report.id),
            files=[_file(request, tenant, file) for file in files],
        )
        return json_response(SupportReportResponse(report=shown))

    @post("/report/{ticket_number:str}/github-sync", status_code=202)
    @Route(access=tenant_users("company members and admins"), loads=require_report_member)
    async def sync_report(self, request: ApiRequest, found: OnReport) -> Response[ReportSynced]:
        """Send a report to GitHub, for the first time or again."""
        async with request.platform.work() as work:
            await request_push(work, found.tenant, found.report.id)
        return json_response(ReportSynced(), status=202)


def _file(request: ApiRequest, tenant: Tenant, file: AttachmentDetail) -> SupportFile:
    link = download_link(request, tenant, file)
    url = link.url if link else None
    return SupportFile(file.id, file.filename, file.file_size, file.mime_type, url, file.created_at)
