"""`/api/v1/companies` and `/api/v1/applications`: whatever shows a company or an application with its figures.

The changes themselves are use cases of domain/companies; they are answered here, because an answer shows the counts
of bugs, of which that domain knows nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get, patch, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.companies import (
    load_company,
    member_role,
    require_company,
    require_company_admin,
    require_may_link,
    require_member,
)
from bugrelay.domain.companies.errors import ApplicationNotFound, CompanyNotFound, NotMember
from bugrelay.domain.companies.schemas import ChangeCompany, VerifyCompany
from bugrelay.domain.companies.service import claims
from bugrelay.domain.companies.service.assignment import link_application
from bugrelay.domain.companies.service.profile import change_company
from bugrelay.domain.dashboards import cache, repository, response_times
from bugrelay.domain.dashboards.schemas import (
    ApplicationChangedResponse,
    ApplicationList,
    ApplicationOut,
    ApplicationQuery,
    ApplicationResponse,
    CompanyChangedResponse,
    CompanyList,
    CompanyOut,
    CompanyQuery,
    CompanyResponse,
    Dashboard,
)
from bugrelay.errors import ValidationFailed
from bugrelay.http.guard import anyone, users
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response, raw_json_response, to_json
from bugrelay.infra.db.database import Reader
from bugrelay.infra.pagination import Pagination


class CompanyController(Controller):
    path = "/api/v1/companies"
    tags = ("Companies",)

    @get("/", opt=anyone().opt(query=CompanyQuery))
    async def list_companies(self, request: ApiRequest) -> Response[CompanyList]:
        """Companies by name; `search` is part of the name or the domain."""
        query = request.read_query(CompanyQuery)

        async def load() -> bytes:
            companies, total = await repository.list_companies(request.platform.database, query)
            return to_json(CompanyList(companies, Pagination.of(query, total)))

        return await _shown(request, load, key=cache.list_key("companies", query), cached=query.page == 1)

    @get("/{company_id:str}", opt=anyone().opt())
    async def show(self, request: ApiRequest) -> Response[CompanyResponse]:
        """One company with its applications, its bugs by status and, while it is verified, its members."""
        company_id = request.path_id("company_id")

        async def load() -> bytes:
            return to_json(CompanyResponse(await _company(request.platform.database, company_id)))

        return await _shown(request, load, key=f"company:{company_id}")

    @patch("/{company_id:str}", opt=users(require_company_admin, role="company admins").opt())
    async def change(
        self, request: ApiRequest, data: JSONBody[ChangeCompany]
    ) -> Response[CompanyChangedResponse]:
        """Change the company's profile; what is absent stays as it is."""
        company_id = request.path_id("company_id")
        async with request.platform.work() as work:
            await change_company(work, company_id, actor_id=request.user_id, change=data)
            company = await _company(work.reader, company_id)
        return json_response(CompanyChangedResponse("Company updated successfully", company))

    @post("/{company_id:str}/verify", opt=users(require_company, verified=True).opt(), status_code=200)
    async def verify(
        self, request: ApiRequest, data: JSONBody[VerifyCompany]
    ) -> Response[CompanyChangedResponse]:
        """Complete a claim of mine; I become the company's admin.

        `{"token"}` sends the token of the mail. `{"method": "dns"}` or `{"method": "file"}` has the published proof
        looked for: 202, and the company is verified a moment later if it is there. It is also looked for every few
        minutes without being asked.
        """
        company_id, platform = request.path_id("company_id"), request.platform
        if data.token is None and data.method is None:
            raise ValidationFailed.of("token", "is required")
        async with platform.work() as work:
            if data.token is not None:
                await claims.complete_by_token(work, company_id, user_id=request.user_id, token=data.token)
                message, status = "Company verified successfully", 200
            elif data.method is not None:
                await claims.request_check(
                    platform, work, company_id, user_id=request.user_id, method=data.method
                )
                message, status = "The proof is being looked for", 202
            company = await _company(work.reader, company_id)
        return json_response(CompanyChangedResponse(message, company), status=status)

    @get("/{company_id:str}/dashboard", opt=users(require_member, role="company members").opt())
    async def dashboard(self, request: ApiRequest) -> Response[Dashboard]:
        """Figures and recent bugs, for the company's members."""
        reader, company_id = request.platform.database, request.path_id("company_id")
        role = await member_role(request, await load_company(request))
        if role is None:
            raise NotMember
        company = await _company(reader, company_id)
        return json_response(
            Dashboard(
                company=company,
                user_role=role,
                bug_stats=company.bug_stats,
                recent_bugs=await response_times.newest_bugs(reader, company_id),
                response_stats=await response_times.response_stats(
                    reader, company_id, total=company.bug_stats.total
                ),
                votes_30d=await response_times.recent_votes(reader, company_id),
                oldest_unanswered=await response_times.oldest_unanswered(reader, company_id),
            )
        )

    @post(
        "/{company_id:str}/applications/{application_id:str}",
        opt=users(require_may_link, role="company admins, admins").opt(),
        status_code=200,
    )
    async def link(self, request: ApiRequest) -> Response[ApplicationChangedResponse]:
        """Put the company behind an application; the application's bugs follow."""
        application_id = request.path_id("application_id")
        async with request.platform.work() as work:
            await link_application(
                work,
                request.viewer,
                company_id=request.path_id("company_id"),
                application_id=application_id,
                actor_id=request.user_id,
            )
            application = await _application(work.reader, application_id)
        return json_response(ApplicationChangedResponse("Application linked successfully", application))


class ApplicationController(Controller):
    path = "/api/v1/applications"
    tags = ("Companies",)

    @get("/", opt=anyone().opt(query=ApplicationQuery))
    async def list_applications(self, request: ApiRequest) -> Response[ApplicationList]:
        """Applications by name, with their bugs by status; `search` is part of the name."""
        query = request.read_query(ApplicationQuery)

        async def load() -> bytes:
            applications, total = await repository.list_applications(request.platform.database, query)
            return to_json(ApplicationList(applications, Pagination.of(query, total)))

        return await _shown(request, load, key=cache.list_key("applications", query), cached=query.page == 1)

    @get("/{application_id:str}", opt=anyone().opt())
    async def show(self, request: ApiRequest) -> Response[ApplicationResponse]:
        """One application with its bugs by status."""
        application_id = request.path_id("application_id")

        async def load() -> bytes:
            return to_json(ApplicationResponse(await _application(request.platform.database, application_id)))

        return await _shown(request, load, key=f"application:{application_id}")


async def _shown(
    request: ApiRequest, load: Callable[[], Awaitable[bytes]], *, key: str, cached: bool = True
) -> Response[Any]:
    """From the cache for the anonymous, from the database for the signed-in, so that nobody misses their own write."""
    if request.viewer.signed_in or not cached:
        return raw_json_response(await load())
    body, hit = await request.platform.cache.get_or_load(group=cache.FIGURES, key=key, load=load)
    return raw_json_response(body, headers={"X-Cache": "HIT" if hit else "MISS"})


async def _company(reader: Reader, company_id: UUID) -> CompanyOut:
    company = await repository.find_company(reader, company_id)
    if company is None:
        raise CompanyNotFound
    return company


async def _application(reader: Reader, application_id: UUID) -> ApplicationOut:
    application = await repository.find_application(reader, application_id)
    if application is None:
        raise ApplicationNotFound
    return application
