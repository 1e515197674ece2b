"""`/api/v1/admin/companies` and `/api/v1/admin/applications`."""

from __future__ import annotations

from litestar import Controller, Response, patch, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.moderation import load_application, load_company
from bugrelay.domain.moderation.schemas import ApplicationAct, ChangeApplication, CompanyAct, Reason
from bugrelay.domain.moderation.service import companies
from bugrelay.http.guard import admins
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response


class CompanyModerationController(Controller):
    path = "/api/v1/admin"
    tags = ("Moderation",)

    @post("/companies/{company_id:str}/verify", opt=admins(load_company).opt(), status_code=200)
    async def verify(self, request: ApiRequest, data: JSONBody[Reason]) -> Response[CompanyAct]:
        """Verify a company by an admin's word."""
        company_id = request.path_id("company_id")
        async with request.platform.work() as work:
            await companies.verify(work, request.user_id, company_id, reason=data.reason)
        return json_response(CompanyAct("Company verified successfully", company_id, data.reason))

    @post("/companies/{company_id:str}/unverify", opt=admins(load_company).opt(), status_code=200)
    async def unverify(self, request: ApiRequest, data: JSONBody[Reason]) -> Response[CompanyAct]:
        """Take a company's verification back: its members' rights are suspended."""
        company_id = request.path_id("company_id")
        async with request.platform.work() as work:
            await companies.unverify(work, request.user_id, company_id, reason=data.reason)
        return json_response(CompanyAct("Company unverified successfully", company_id, data.reason))

    @patch("/applications/{application_id:str}", opt=admins(load_application).opt())
    async def reassign(
        self, request: ApiRequest, data: JSONBody[ChangeApplication]
    ) -> Response[ApplicationAct]:
        """Put an application and its bugs under another company, or under none."""
        application_id = request.path_id("application_id")
        async with request.platform.work() as work:
            await companies.reassign(
                work, request.user_id, application_id, company_id=data.company_id, reason=data.reason
            )
        return json_response(
            ApplicationAct("Application reassigned successfully", application_id, data.company_id)
        )
