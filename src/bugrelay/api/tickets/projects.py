"""`/api/v1/projects`: create, list, show, change, archive, restore."""

from __future__ import annotations

from litestar import Controller, Response, delete, get, post, put
from litestar.params import JSONBody
from msgspec import UNSET

from bugrelay.api.tenant import require_tenant, require_tenant_member
from bugrelay.api.tickets.guards import (
    OnProject,
    load_project,
    require_project_admin,
    require_project_member,
)
from bugrelay.api.tickets.requests import CreateProject, UpdateProject
from bugrelay.api.tickets.responses import (
    PageOut,
    ProjectList,
    ProjectOut,
    ProjectResponse,
    all_written_as,
    written_as,
)
from bugrelay.api.versions import etag, expected_versions
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.errors import ProjectNotFound
from bugrelay.domain.tickets.repository.projects import find_project, list_projects
from bugrelay.domain.tickets.schemas import ProjectDetail
from bugrelay.domain.tickets.service.projects import (
    archive_project,
    create_project,
    edit_project,
    restore_project,
)
from bugrelay.errors import ValidationFailed
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.pagination import PageQuery, Pagination

MEMBERS, ADMINS = "a company's members and admins", "a company's admins"


class ProjectController(Controller):
    path = "/api/v1/projects"
    tags = ("Projects",)

    @get("/")
    @Route(access=tenant_users(), loads=require_tenant, query=PageQuery)
    async def list_projects(
        self, request: ApiRequest, tenant: Tenant, query: PageQuery
    ) -> Response[ProjectList]:
        """List the projects that I see."""
        found, total = await list_projects(request.platform.database, tenant, query)
        pagination = written_as(PageOut, Pagination.of(query, total))
        return json_response(ProjectList(all_written_as(ProjectOut, found), pagination))

    @post("/")
    @Route(access=tenant_users(MEMBERS), loads=require_tenant_member)
    async def create_project(
        self, request: ApiRequest, tenant: Tenant, data: JSONBody[CreateProject]
    ) -> Response[ProjectResponse]:
        """Create a project."""
        async with request.platform.work() as work:
            project_id = await create_project(work, tenant, data.wanted())
            project = await find_project(work, tenant, project_id)
        return _shown(project, status=201)

    @get("/{project:str}")
    @Route(access=tenant_users(), loads=load_project)
    async def get_project(self, found: OnProject) -> Response[ProjectResponse]:
        """Show one project."""
        return _shown(found.project)

    @put("/{project:str}")
    @Route(access=tenant_users(MEMBERS), loads=require_project_member, errors=(412,))
    async def update_project(
        self, request: ApiRequest, found: OnProject, data: JSONBody[UpdateProject]
    ) -> Response[ProjectResponse]:
        """Change a project; fields that are left out keep their values."""
        if data.scheme not in (UNSET, found.project.scheme):
            raise ValidationFailed.of("scheme", "cannot be changed")
        expected = expected_versions(request, data.version)
        async with request.platform.work() as work:
            await edit_project(work, found.tenant, found.project.id, data.wanted(), expected=expected)
            project = await find_project(work, found.tenant, found.project.id)
        return _shown(project)

    @delete("/{project:str}", status_code=200)
    @Route(access=tenant_users(ADMINS), loads=require_project_admin)
    async def archive_project(self, request: ApiRequest, found: OnProject) -> Response[ProjectResponse]:
        """Archive a project: it stays readable, and takes no new tickets."""
        async with request.platform.work() as work:
            await archive_project(work, found.tenant, found.project.id)
            project = await find_project(work, found.tenant, found.project.id)
        return _shown(project)

    @post("/{project:str}/restore", status_code=200)
    @Route(access=tenant_users(ADMINS), loads=require_project_admin)
    async def restore_project(self, request: ApiRequest, found: OnProject) -> Response[ProjectResponse]:
        """Take a project out of the archive: it takes tickets again."""
        async with request.platform.work() as work:
            await restore_project(work, found.tenant, found.project.id)
            project = await find_project(work, found.tenant, found.project.id)
        return _shown(project)


def _shown(project: ProjectDetail | None, *, status: int = 200) -> Response[ProjectResponse]:
    if project is None:
        raise ProjectNotFound
    body = ProjectResponse(written_as(ProjectOut, project))
    return json_response(body, status=status, headers=etag(project.version))
