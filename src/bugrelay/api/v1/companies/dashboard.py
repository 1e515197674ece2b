"""`/api/v1/companies/{id}/dashboard`."""

from __future__ import annotations

from litestar import Controller, Response, get

from bugrelay.api.v1.guards.companies import Membership, require_member
from bugrelay.domain.dashboards.schemas import CompanyDashboard
from bugrelay.domain.dashboards.service import get_dashboard
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, users


class DashboardController(Controller):
    path = "/api/v1/companies/{company_id:str}/dashboard"
    tags = ("Companies",)

    @get("/")
    @Route(access=users("company members"), loads=require_member)
    async def get_company_dashboard(
        self, request: ApiRequest, membership: Membership
    ) -> Response[CompanyDashboard]:
        """Show statistics and recent bugs, for the company's members."""
        database, company = request.platform.database, membership.company
        return json_response(await get_dashboard(database, company.id, role=membership.role))
