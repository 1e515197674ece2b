"""`/api/v1/issues`: report, list, show, change and remove issues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litestar import Controller, Response, delete, get, post, put
from litestar.params import JSONBody
from msgspec import UNSET

from bugrelay.api.issues.guards import OnIssue, load_issue, require_issue_admin
from bugrelay.api.issues.requests import CreateIssue, ListIssues, UpdateIssue
from bugrelay.api.issues.responses import IssueList, IssueResponse, issue_of
from bugrelay.api.issues.words import field_names
from bugrelay.api.tenant import require_tenant
from bugrelay.api.versions import etag, expected_versions
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.errors import TicketNotFound, VersionConflict
from bugrelay.domain.tickets.repository.tickets import find_ticket
from bugrelay.domain.tickets.search.service import list_tickets
from bugrelay.domain.tickets.service.creating import create_ticket
from bugrelay.domain.tickets.service.editing import edit_ticket
from bugrelay.domain.tickets.service.locking import Expected, assignee_ids_of, lock_ticket
from bugrelay.domain.tickets.service.removal import remove_ticket
from bugrelay.domain.tickets.service.statuses import change_status
from bugrelay.http.idempotency import Complete, idempotent
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response, raw_json_response, to_json
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.idempotency import StoredResponse


class IssueController(Controller):
    path = "/api/v1/issues"
    tags = ("Issues",)

    @get("/")
    @Route(access=tenant_users(), loads=require_tenant, query=ListIssues)
    async def list_issues(
        self, request: ApiRequest, tenant: Tenant, query: ListIssues
    ) -> Response[IssueList]:
        """List, search and filter the issues that I see."""
        platform = request.platform
        async with platform.database.reading() as reader:
            page = await list_tickets(reader, platform.counts, tenant, query=query.wanted())
        return json_response(IssueList([issue_of(ticket) for ticket in page.tickets], page.pagination))

    @post("/")
    @Route(access=tenant_users(), loads=require_tenant, idempotent=True)
    async def create_issue(
        self, request: ApiRequest, tenant: Tenant, data: JSONBody[CreateIssue]
    ) -> Response[IssueResponse]:
        """Report an issue.

        It goes to the project `ISS`, which is created at first use.
        """

        async def work(complete: Complete) -> Response[Any]:
            async with request.platform.work() as unit:
                ticket = await create_ticket(unit, tenant, data.wanted())
                body = to_json(IssueResponse(issue_of(ticket)))
                await complete(unit, StoredResponse(201, body))
            return raw_json_response(body, status=201, headers=etag(ticket.version))

        return await idempotent(request, work, of=tenant.company_id)

    @get("/{issue_id:str}")
    @Route(access=tenant_users(), loads=load_issue)
    async def get_issue(self, request: ApiRequest, found: OnIssue) -> Response[IssueResponse]:
        """Show one issue."""
        return await _shown(request.platform.database, found)

    @put("/{issue_id:str}")
    @Route(access=tenant_users(), loads=load_issue, errors=(412,))
    async def update_issue(
        self, request: ApiRequest, found: OnIssue, data: JSONBody[UpdateIssue]
    ) -> Response[IssueResponse]:
        """Change an issue, including its status; absent fields stay unchanged."""
        with _in_words_of_issues():
            async with request.platform.work() as work:
                await _change(work, found, data, expected=expected_versions(request, data.version))
                return await _shown(work, found)

    @delete("/{issue_id:str}", status_code=200)
    @Route(access=tenant_users("a company's admins"), loads=require_issue_admin)
    async def remove_issue(self, request: ApiRequest, found: OnIssue) -> Response[Message]:
        """Remove an issue; its number is not used again."""
        async with request.platform.work() as work:
            await remove_ticket(work, found.tenant, found.issue_id)
        return json_response(Message("Issue removed successfully"))


async def _change(work: UnitOfWork, found: OnIssue, data: UpdateIssue, *, expected: Expected) -> None:
    """Change the fields before the status, so that one request can correct and close an issue."""
    tenant, issue_id = found.tenant, found.issue_id
    await lock_ticket(work, tenant, issue_id, expected=expected)
    assigned = await assignee_ids_of(work, tenant, issue_id)
    await edit_ticket(work, tenant, issue_id, data.wanted(assigned))
    if data.status is not UNSET:
        await change_status(work, tenant, issue_id, status=data.status)


@contextmanager
def _in_words_of_issues() -> Iterator[None]:
    """Translate the names of conflicting fields in a VersionConflict to those of issues."""
    try:
        yield
    except VersionConflict as error:
        raise VersionConflict(
            version=error.version, changed_fields=field_names(error.changed_fields)
        ) from error


async def _shown(reader: Reader, found: OnIssue) -> Response[IssueResponse]:
    """
    Raises:
        TicketNotFound: The caller cannot see it any more since the request was authorised.
    """
    ticket = await find_ticket(reader, found.tenant, found.issue_id)
    if ticket is None:
        raise TicketNotFound
    return json_response(IssueResponse(issue_of(ticket)), headers=etag(ticket.version))
