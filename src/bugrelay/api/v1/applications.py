"""`/api/v1/applications`."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, get

from bugrelay.api.v1.companies.public_response import public_response
from bugrelay.api.v1.responses.companies import ApplicationList, ApplicationResponse
from bugrelay.domain.dashboards import cache, repository, service
from bugrelay.domain.dashboards.schemas import ApplicationQuery
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import to_json
from bugrelay.http.routes import Route, anyone
from bugrelay.infra.pagination import Pagination


class ApplicationController(Controller):
    path = "/api/v1/applications"
    tags = ("Companies",)

    @get("/")
    @Route(access=anyone(), query=ApplicationQuery)
    async def list_applications(
        self, request: ApiRequest, query: ApplicationQuery
    ) -> Response[ApplicationList]:
        """List applications by name, with their bugs by status; `search` is part of the name."""

        async def load() -> bytes:
            applications, total = await repository.list_applications(request.platform.database, query)
            return to_json(ApplicationList(applications, Pagination.of(query, total)))

        key = cache.list_key("applications", query)
        return await public_response(request, load, key=key, cached=query.page == 1)

    @get("/{application_id:str}")
    @Route(access=anyone())
    async def get_application(
        self, request: ApiRequest, application_id: UUID
    ) -> Response[ApplicationResponse]:
        """Show one application with its bugs by status."""

        async def load() -> bytes:
            application = await service.get_application(request.platform.database, application_id)
            return to_json(ApplicationResponse(application))

        return await public_response(request, load, key=f"application:{application_id}")
