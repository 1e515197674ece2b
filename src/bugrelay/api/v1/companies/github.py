"""`/api/v1/companies/{id}/github`: the company's connection to GitHub, for its admins."""

from __future__ import annotations

from litestar import Controller, Response, delete, get, post, put
from litestar.params import JSONBody

from bugrelay.api.v1.guards.companies import require_company_admin
from bugrelay.api.v1.responses.integrations import (
    GitHubConnectionResponse,
    GitHubConnectionSetResponse,
    GitHubTestResponse,
)
from bugrelay.domain.companies.schemas import CompanyState
from bugrelay.domain.github.checking import check_connection
from bugrelay.domain.github.client import GitHubClient
from bugrelay.domain.github.schemas import GitHubConnectionOut, SetGitHubConnection
from bugrelay.domain.github.service.connections import remove_connection, set_connection, show_connection
from bugrelay.domain.github.service.secrets import default_repository
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, users
from bugrelay.infra.db.query import Reader
from bugrelay.infra.platform import Platform
from bugrelay.infra.viewer import SignedInViewer

COMPANY_ADMINS = users("company admins")


class GitHubController(Controller):
    path = "/api/v1/companies/{company_id:str}/github"
    tags = ("GitHub",)

    @get("/")
    @Route(access=COMPANY_ADMINS, loads=require_company_admin)
    async def get_github_connection(
        self, request: ApiRequest, company: CompanyState
    ) -> Response[GitHubConnectionResponse]:
        """Show the company's connection to GitHub, without its token."""
        platform = request.platform
        return json_response(GitHubConnectionResponse(await _shown(platform, platform.database, company)))

    @put("/", status_code=200)
    @Route(access=COMPANY_ADMINS, loads=require_company_admin)
    async def set_github_connection(
        self,
        request: ApiRequest,
        viewer: SignedInViewer,
        company: CompanyState,
        data: JSONBody[SetGitHubConnection],
    ) -> Response[GitHubConnectionSetResponse]:
        """Connect the company to a repository, or change the connection.

        Only the response to the first call has the webhook's secret.
        """
        platform = request.platform
        async with platform.work() as work:
            secret = await set_connection(
                work,
                company.id,
                actor_id=viewer.user_id,
                wanted=data,
                encryption=platform.encryption,
                default=default_repository(platform.settings),
            )
            shown = await _shown(platform, work, company)
        message = "GitHub connection changed"
        if secret is not None:
            message = "Connected to GitHub; store the webhook's secret now, it is not shown again"
        return json_response(GitHubConnectionSetResponse(message, shown, secret))

    @delete("/", status_code=200)
    @Route(access=COMPANY_ADMINS, loads=require_company_admin)
    async def remove_github_connection(
        self, request: ApiRequest, viewer: SignedInViewer, company: CompanyState
    ) -> Response[Message]:
        """Disconnect the company; its issues stay as they are."""
        async with request.platform.work() as work:
            await remove_connection(work, company.id, actor_id=viewer.user_id)
        return json_response(Message("Disconnected from GitHub"))

    @post("/test", status_code=200)
    @Route(access=COMPANY_ADMINS, loads=require_company_admin)
    async def test_github_connection(
        self, request: ApiRequest, company: CompanyState
    ) -> Response[GitHubTestResponse]:
        """Test the connection: dry run against GitHub, without writing."""
        platform = request.platform
        client = GitHubClient(platform.settings.github_api_url)
        try:
            found = await check_connection(
                company.id,
                work=platform.work,
                reader=platform.database,
                client=client,
                encryption=platform.encryption,
                default=default_repository(platform.settings),
            )
        finally:
            await client.close()
        return json_response(GitHubTestResponse(found))


async def _shown(platform: Platform, reader: Reader, company: CompanyState) -> GitHubConnectionOut:
    return await show_connection(
        reader,
        company.id,
        encryption=platform.encryption,
        default=default_repository(platform.settings),
        public_url=platform.settings.public_url,
    )
