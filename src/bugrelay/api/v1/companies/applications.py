"""`/api/v1/companies/{id}/applications`: the applications of a company."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, post

from bugrelay.api.v1.guards.companies import require_may_link
from bugrelay.api.v1.responses.companies import ApplicationChangedResponse
from bugrelay.domain.companies.service import assignment
from bugrelay.domain.dashboards.service import get_application
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, users
from bugrelay.infra.viewer import SignedInViewer


class CompanyApplicationController(Controller):
    path = "/api/v1/companies/{company_id:str}/applications"
    tags = ("Companies",)

    @post("/{application_id:str}", status_code=200)
    @Route(access=users("company admins, admins"), loads=require_may_link)
    async def link_application(
        self, request: ApiRequest, viewer: SignedInViewer, company_id: UUID, application_id: UUID
    ) -> Response[ApplicationChangedResponse]:
        """Assign an application, with its bugs, to the company."""
        async with request.platform.work() as work:
            await assignment.link_application(
                work,
                viewer,
                company_id=company_id,
                application_id=application_id,
                actor_id=viewer.user_id,
            )
            application = await get_application(work, application_id)
        return json_response(ApplicationChangedResponse("Application linked successfully", application))
