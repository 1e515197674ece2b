"""`/api/v1/workflows`: workflow rules, their runs, and dry runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from litestar import Controller, Response, delete, get, post, put
from litestar.params import JSONBody

from bugrelay.api.tenant import require_tenant_admin
from bugrelay.api.tickets.guards import ticket_name
from bugrelay.api.tickets.responses import PageOut, written_as
from bugrelay.api.tickets.workflow_requests import CreateWorkflow, TryWorkflows, UpdateWorkflow
from bugrelay.api.tickets.workflow_responses import (
    RunList,
    TrialList,
    WorkflowList,
    WorkflowResponse,
    run_written,
    trials_written,
    workflow_written,
)
from bugrelay.api.versions import etag, expected_versions
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.events.repository import events_after
from bugrelay.domain.events.schemas import Event
from bugrelay.domain.rules import repository
from bugrelay.domain.rules.errors import WorkflowNotFound
from bugrelay.domain.rules.schemas import RuleDetail
from bugrelay.domain.rules.service.dry_run import dry_run
from bugrelay.domain.rules.service.removal import remove_rule
from bugrelay.domain.rules.service.rules import change_rule, create_rule
from bugrelay.domain.tickets.repository.tickets import ticket_named
from bugrelay.errors import ValidationFailed
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.db.query import Reader
from bugrelay.infra.ids import parse_id
from bugrelay.infra.pagination import PageQuery, Pagination

ADMINS = "a company's admins"
_EVENT_ID = re.compile(r"evt_([0-9a-f-]{36})_([1-9][0-9]{0,17})")


@dataclass(frozen=True)
class OnWorkflow:
    """The rule of the path, and an admin of its company."""

    tenant: Tenant
    rule: RuleDetail


async def load_workflow(request: ApiRequest) -> OnWorkflow:
    """A rule of the company, for admins; the role is checked first.

    Raises:
        InvalidId, ValidationFailed, CompanyRequired, CompanyNotFound, InsufficientPermissions, WorkflowNotFound
    """
    rule_id = request.path_id("workflow_id")
    tenant = await require_tenant_admin(request)
    rule = await repository.find_rule(request.platform.database, tenant, rule_id)
    if rule is None:
        raise WorkflowNotFound
    return OnWorkflow(tenant, rule)


class WorkflowController(Controller):
    path = "/api/v1/workflows"
    tags = ("Workflows",)

    @get("/")
    @Route(access=tenant_users(ADMINS), loads=require_tenant_admin, query=PageQuery)
    async def list_workflows(
        self, request: ApiRequest, tenant: Tenant, query: PageQuery
    ) -> Response[WorkflowList]:
        """List the company's workflow rules."""
        rules, total = await repository.list_rules(request.platform.database, tenant, query)
        pagination = written_as(PageOut, Pagination.of(query, total))
        return json_response(WorkflowList([workflow_written(rule) for rule in rules], pagination))

    @post("/")
    @Route(access=tenant_users(ADMINS), loads=require_tenant_admin)
    async def create_workflow(
        self, request: ApiRequest, tenant: Tenant, data: JSONBody[CreateWorkflow]
    ) -> Response[WorkflowResponse]:
        """Create a workflow rule; it runs for events from now on."""
        async with request.platform.work() as work:
            rule_id = await create_rule(work, tenant, data.wanted())
            return await _shown(work, tenant, rule_id, status=201)

    @get("/runs")
    @Route(access=tenant_users(ADMINS), loads=require_tenant_admin, query=PageQuery)
    async def list_all_workflow_runs(
        self, request: ApiRequest, tenant: Tenant, query: PageQuery
    ) -> Response[RunList]:
        """List runs of the company's workflow rules of the last 30 days, newest first."""
        return await _runs(request, tenant, query, rule_id=None)

    @post("/test", status_code=200)
    @Route(access=tenant_users(ADMINS), loads=require_tenant_admin)
    async def try_workflows(
        self, request: ApiRequest, tenant: Tenant, data: JSONBody[TryWorkflows]
    ) -> Response[TrialList]:
        """Dry-run all enabled workflow rules for a ticket."""
        return await _tried(request, tenant, data, rule_id=None)

    @get("/{workflow_id:str}")
    @Route(access=tenant_users(ADMINS), loads=load_workflow)
    async def get_workflow(self, found: OnWorkflow) -> Response[WorkflowResponse]:
        """Show one workflow rule."""
        return _response(found.rule)

    @put("/{workflow_id:str}")
    @Route(access=tenant_users(ADMINS), loads=load_workflow, errors=(412,))
    async def update_workflow(
        self, request: ApiRequest, found: OnWorkflow, data: JSONBody[UpdateWorkflow]
    ) -> Response[WorkflowResponse]:
        """Change a workflow rule; fields that are left out keep their values."""
        expected = expected_versions(request, data.version)
        async with request.platform.work() as work:
            await change_rule(work, found.tenant, found.rule.id, data.wanted(), expected=expected)
            return await _shown(work, found.tenant, found.rule.id)

    @delete("/{workflow_id:str}", status_code=200)
    @Route(access=tenant_users(ADMINS), loads=load_workflow)
    async def remove_workflow(self, request: ApiRequest, found: OnWorkflow) -> Response[Message]:
        """Remove a workflow rule; its past changes and runs stay."""
        async with request.platform.work() as work:
            await remove_rule(work, found.tenant, found.rule.id)
        return json_response(Message("Workflow removed successfully"))

    @get("/{workflow_id:str}/runs")
    @Route(access=tenant_users(ADMINS), loads=load_workflow, query=PageQuery)
    async def list_workflow_runs(
        self, request: ApiRequest, found: OnWorkflow, query: PageQuery
    ) -> Response[RunList]:
        """List runs of a workflow rule of the last 30 days, newest first."""
        return await _runs(request, found.tenant, query, rule_id=found.rule.id)

    @post("/{workflow_id:str}/test", status_code=200)
    @Route(access=tenant_users(ADMINS), loads=load_workflow)
    async def try_workflow(
        self, request: ApiRequest, found: OnWorkflow, data: JSONBody[TryWorkflows]
    ) -> Response[TrialList]:
        """Dry-run a workflow rule for a ticket, also a disabled one."""
        return await _tried(request, found.tenant, data, rule_id=found.rule.id)


async def _shown(
    reader: Reader, tenant: Tenant, rule_id: UUID, *, status: int = 200
) -> Response[WorkflowResponse]:
    rule = await repository.find_rule(reader, tenant, rule_id)
    if rule is None:
        raise WorkflowNotFound
    return _response(rule, status=status)


def _response(rule: RuleDetail, *, status: int = 200) -> Response[WorkflowResponse]:
    body = WorkflowResponse(workflow_written(rule))
    return json_response(body, status=status, headers=etag(rule.version))


async def _runs(
    request: ApiRequest, tenant: Tenant, query: PageQuery, *, rule_id: UUID | None
) -> Response[RunList]:
    runs, total = await repository.list_runs(request.platform.database, tenant, query, rule_id=rule_id)
    pagination = written_as(PageOut, Pagination.of(query, total))
    return json_response(
        RunList([run_written(run, company_id=tenant.company_id) for run in runs], pagination)
    )


async def _tried(
    request: ApiRequest, tenant: Tenant, data: TryWorkflows, *, rule_id: UUID | None
) -> Response[TrialList]:
    platform = request.platform
    ticket_id, event = await _occasion(platform.database, tenant, data)
    async with platform.work() as work:
        rules = await repository.rules_for_dry_run(work, tenant, rule_id=rule_id)
        outcomes = await dry_run(work, tenant, rules, ticket_id=ticket_id, event=event, jobs=platform.jobs)
    return json_response(trials_written(outcomes, company_id=tenant.company_id))


async def _occasion(reader: Reader, tenant: Tenant, data: TryWorkflows) -> tuple[UUID, Event | None]:
    """The ticket of the dry run, and the event if one is named.

    Raises:
        ValidationFailed: Not exactly one of the two is sent, or it names nothing of the company.
    """
    if (data.ticket_id is None) == (data.event_id is None):
        raise ValidationFailed.of("ticket_id", "or eventId is required, and not both")
    if data.event_id is not None:
        event = await _event(reader, tenant, data.event_id)
        if event is None or event.ticket_id is None:
            raise ValidationFailed.of("event_id", "must be an event of a ticket of the company")
        return event.ticket_id, event
    name = ticket_name(data.ticket_id or "")
    found = None if name is None else await ticket_named(reader, tenant, name)
    if found is None:
        raise ValidationFailed.of("ticket_id", "must be a ticket of the company")
    return found.id, None


async def _event(reader: Reader, tenant: Tenant, text: str) -> Event | None:
    named = _EVENT_ID.fullmatch(text)
    if named is None or parse_id(named[1]) != tenant.company_id:
        return None
    seq = int(named[2])
    found = await events_after(reader, tenant.company_id, seq - 1, limit=1)
    return found[0] if found and found[0].seq == seq else None
