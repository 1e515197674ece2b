"""`/api/v1/admin/dashboard` and `/api/v1/admin/audit-logs`."""

from __future__ import annotations

from litestar import Controller, Response, get

from bugrelay.api.v1.responses.moderation import AuditList, ModerationDashboard
from bugrelay.domain.moderation.repository import dashboard_stats, list_audit
from bugrelay.domain.moderation.schemas import AuditQuery
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, admins
from bugrelay.infra.pagination import Pagination


class OverviewController(Controller):
    path = "/api/v1/admin"
    tags = ("Moderation",)

    @get("/dashboard")
    @Route(access=admins())
    async def get_moderation_dashboard(self, request: ApiRequest) -> Response[ModerationDashboard]:
        """Show statistics of the board, and the latest fifty entries of the audit log."""
        database = request.platform.database
        latest, _ = await list_audit(database, AuditQuery())
        return json_response(ModerationDashboard(await dashboard_stats(database), latest))

    @get("/audit-logs")
    @Route(access=admins(), query=AuditQuery)
    async def list_audit_logs(self, request: ApiRequest, query: AuditQuery) -> Response[AuditList]:
        """List the audit log, newest first."""
        logs, total = await list_audit(request.platform.database, query)
        return json_response(AuditList(logs, Pagination.of(query, total)))
