"""`/api/v1/companies`: companies with the counts of their bugs, and their profiles.

A change is a use case of domain/companies; its response is the read model of domain/dashboards, since domain/companies
does not know the counts of bugs.
"""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, get, patch
from litestar.params import JSONBody

from bugrelay.api.v1.companies.public_response import public_response
from bugrelay.api.v1.guards.companies import require_company_admin
from bugrelay.api.v1.responses.companies import CompanyChangedResponse, CompanyList, CompanyResponse
from bugrelay.domain.companies.schemas import ChangeCompany, CompanyState
from bugrelay.domain.companies.service.profile import change_company
from bugrelay.domain.dashboards import cache, repository, service
from bugrelay.domain.dashboards.schemas import CompanyQuery
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response, to_json
from bugrelay.http.routes import Route, anyone, users
from bugrelay.infra.pagination import Pagination
from bugrelay.infra.viewer import SignedInViewer


class CompanyController(Controller):
    path = "/api/v1/companies"
    tags = ("Companies",)

    @get("/")
    @Route(access=anyone(), query=CompanyQuery)
    async def list_companies(self, request: ApiRequest, query: CompanyQuery) -> Response[CompanyList]:
        """List companies by name; `search` is part of the name or the domain."""

        async def load() -> bytes:
            companies, total = await repository.list_companies(request.platform.database, query)
            return to_json(CompanyList(companies, Pagination.of(query, total)))

        key = cache.list_key("companies", query)
        return await public_response(request, load, key=key, cached=query.page == 1)

    @get("/{company_id:str}")
    @Route(access=anyone())
    async def get_company(self, request: ApiRequest, company_id: UUID) -> Response[CompanyResponse]:
        """Show one company with its applications, its bugs by status and, while it is verified, its members."""

        async def load() -> bytes:
            return to_json(CompanyResponse(await service.get_company(request.platform.database, company_id)))

        return await public_response(request, load, key=f"company:{company_id}")

    @patch("/{company_id:str}")
    @Route(access=users("company admins"), loads=require_company_admin)
    async def update_company(
        self,
        request: ApiRequest,
        viewer: SignedInViewer,
        company: CompanyState,
        data: JSONBody[ChangeCompany],
    ) -> Response[CompanyChangedResponse]:
        """Change the company's profile; absent fields stay unchanged."""
        async with request.platform.work() as work:
            await change_company(work, company.id, actor_id=viewer.user_id, change=data)
            changed = await service.get_company(work, company.id)
        return json_response(CompanyChangedResponse("Company updated successfully", changed))
