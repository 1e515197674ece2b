"""`/api/v1/admin/dashboard` and `/api/v1/admin/audit-logs`."""

from __future__ import annotations

from litestar import Controller, Response, get

from bugrelay.domain.moderation.repository import dashboard_stats, list_audit
from bugrelay.domain.moderation.schemas import AuditList, AuditQuery, Dashboard
from bugrelay.http.guard import admins
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.infra.pagination import Pagination


class OverviewController(Controller):
    path = "/api/v1/admin"
    tags = ("Moderation",)

    @get("/dashboard", opt=admins().opt())
    async def dashboard(self, request: ApiRequest) -> Response[Dashboard]:
        """Figures of the board, and the latest fifty acts."""
        database = request.platform.database
        latest, _ = await list_audit(database, AuditQuery())
        return json_response(Dashboard(await dashboard_stats(database), latest))

    @get("/audit-logs", opt=admins().opt(query=AuditQuery))
    async def audit_logs(self, request: ApiRequest) -> Response[AuditList]:
        """What admins did, newest first."""
        query = request.read_query(AuditQuery)
        logs, total = await list_audit(request.platform.database, query)
        return json_response(AuditList(logs, Pagination.of(query, total)))
