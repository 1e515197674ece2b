"""`/api/v1/admin/companies` and `/api/v1/admin/applications`."""

from __future__ import annotations

from litestar import Controller, Response, patch, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.companies import load_application, load_company
from bugrelay.api.v1.responses.moderation import ApplicationAct, CompanyAct
from bugrelay.domain.companies.schemas import ApplicationState, CompanyState
from bugrelay.domain.moderation.schemas import ChangeApplication, Reason
from bugrelay.domain.moderation.service import companies
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, admins
from bugrelay.infra.viewer import SignedInViewer


class CompanyModerationController(Controller):
    path = "/api/v1/admin"
    tags = ("Moderation",)

    @post("/companies/{company_id:str}/verify", status_code=200)
    @Route(access=admins(), loads=load_company)
    async def verify_company(
        self, request: ApiRequest, viewer: SignedInViewer, company: CompanyState, data: JSONBody[Reason]
    ) -> Response[CompanyAct]:
        """Verify a company without a proof of its domain."""
        async with request.platform.work() as work:
            await companies.verify(work, viewer.user_id, company.id, reason=data.reason)
        return json_response(CompanyAct("Company verified successfully", company.id, data.reason))

    @post("/companies/{company_id:str}/unverify", status_code=200)
    @Route(access=admins(), loads=load_company)
    async def unverify_company(
        self, request: ApiRequest, viewer: SignedInViewer, company: CompanyState, data: JSONBody[Reason]
    ) -> Response[CompanyAct]:
        """Revoke a company's verification, which suspends the rights of its members."""
        async with request.platform.work() as work:
            await companies.unverify(work, viewer.user_id, company.id, reason=data.reason)
        return json_response(CompanyAct("Company unverified successfully", company.id, data.reason))

    @patch("/applications/{application_id:str}")
    @Route(access=admins(), loads=load_application)
    async def reassign_application(
        self,
        request: ApiRequest,
        viewer: SignedInViewer,
        application: ApplicationState,
        data: JSONBody[ChangeApplication],
    ) -> Response[ApplicationAct]:
        """Assign an application and its bugs to another company, or to none."""
        async with request.platform.work() as work:
            await companies.reassign(
                work, viewer.user_id, application.id, company_id=data.company_id, reason=data.reason
            )
        return json_response(
            ApplicationAct("Application reassigned successfully", application.id, data.company_id)
        )
