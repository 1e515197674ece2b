"""Loaders of the ticket API, run before the body is read. What the user does not see is 404, like what does not
exist."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from bugrelay.api.tenant import require_tenant, require_tenant_admin
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.repository import bug_state
from bugrelay.domain.companies.policies import is_on_team
from bugrelay.domain.companies.repository import tenant_of
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.links.repository import find_survivor
from bugrelay.domain.tickets import policies
from bugrelay.domain.tickets.errors import ProjectNotFound, TicketCommentNotFound, TicketMoved, TicketNotFound
from bugrelay.domain.tickets.repository.comments import find_comment
from bugrelay.domain.tickets.repository.projects import find_project
from bugrelay.domain.tickets.repository.tickets import (
    FoundTicket,
    find_ticket_named,
    removed_or_not,
    ticket_named,
)
from bugrelay.domain.tickets.schemas import EntryId, ProjectDetail, TicketDetail
from bugrelay.errors import InsufficientPermissions, InvalidId
from bugrelay.http.request import ApiRequest
from bugrelay.infra.ids import parse_id

_PROJECT_KEY = re.compile(r"[A-Z][A-Z0-9]{1,9}")
_TICKET_KEY = re.compile(r"[A-Z][A-Z0-9]{1,9}(?:-[0-9]{1,10}){1,2}")


@dataclass(frozen=True)
class OnTicket:
    """The ticket of the path, and the tenant's user, who sees it."""

    tenant: Tenant
    ticket_id: UUID


@dataclass(frozen=True)
class OnComment:
    """The comment of the path, and its author."""

    tenant: Tenant
    ticket_id: UUID
    comment_id: UUID


@dataclass(frozen=True)
class OnHistoryEntry:
    """An entry of a ticket's history, by its name, and who asks: they see the ticket and are admins."""

    tenant: Tenant
    ticket_id: UUID
    entry: EntryId


@dataclass(frozen=True)
class OnBug:
    """A public bug, and a user on the team of the company behind it."""

    tenant: Tenant
    bug_id: UUID


@dataclass(frozen=True)
class OnProject:
    """The project of the path, and the tenant's user, who sees it."""

    tenant: Tenant
    project: ProjectDetail


def _name(request: ApiRequest, parameter: str, *, key: re.Pattern[str]) -> UUID | str:
    """The path parameter: an id, or a key in any letter case.

    Raises:
        InvalidId: It is neither.
    """
    name = _id_or_key(request.path_params[parameter], key)
    if name is None:
        raise InvalidId("The path has neither a UUID nor a key")
    return name


def _id_or_key(text: str, key: re.Pattern[str], /) -> UUID | str | None:
    found = parse_id(text)
    if found is not None:
        return found
    return text.upper() if key.fullmatch(text.upper()) else None


def ticket_name(text: str) -> UUID | str | None:
    """The id or the key of a ticket; None where the text is neither."""
    return _id_or_key(text, _TICKET_KEY)


async def load_project(request: ApiRequest) -> OnProject:
    """
    Raises:
        InvalidId, ValidationFailed, CompanyRequired, CompanyNotFound, ProjectNotFound
    """
    name = _name(request, "project", key=_PROJECT_KEY)
    tenant = await require_tenant(request)
    project = await find_project(request.platform.database, tenant, name)
    if project is None:
        raise ProjectNotFound
    return OnProject(tenant, project)


async def require_project_member(request: ApiRequest) -> OnProject:
    """The same, for members and admins."""
    found = await load_project(request)
    if not policies.may_triage(found.tenant):
        raise InsufficientPermissions("Only the company's members may do this")
    return found


async def require_project_admin(request: ApiRequest) -> OnProject:
    """The same, for admins."""
    found = await load_project(request)
    if not policies.is_admin(found.tenant):
        raise InsufficientPermissions("Only the company's admins may do this")
    return found


async def load_ticket(request: ApiRequest) -> OnTicket:
    """
    Raises:
        InvalidId, ValidationFailed, CompanyRequired, CompanyNotFound, TicketNotFound
        TicketMoved: The path has an old key of a ticket that was moved.
    """
    name = _name(request, "ticket", key=_TICKET_KEY)
    tenant = await require_tenant(request)
    return _on(request, tenant, name, await ticket_named(request.platform.database, tenant, name))


async def load_ticket_detail(request: ApiRequest) -> TicketDetail:
    """The same with all details, in one statement.

    Raises:
        InvalidId, ValidationFailed, CompanyRequired, CompanyNotFound, TicketNotFound, TicketMoved
    """
    name = _name(request, "ticket", key=_TICKET_KEY)
    tenant = await require_tenant(request)
    ticket = await find_ticket_named(request.platform.database, tenant, name)
    if ticket is None:
        raise TicketNotFound
    _follow_move(request, name, ticket.key)
    return ticket


async def require_ticket_admin(request: ApiRequest) -> OnTicket:
    """The same, for admins."""
    found = await load_ticket(request)
    if not policies.is_admin(found.tenant):
        raise InsufficientPermissions("Only the company's admins may do this")
    return found


async def require_history_admin(request: ApiRequest) -> OnHistoryEntry:
    """The same, with the name of an entry of its history.

    Raises:
        InvalidId, ValidationFailed, CompanyRequired, CompanyNotFound, TicketNotFound, TicketMoved
        InsufficientPermissions
    """
    entry = EntryId.parse(request.path_params["entry"])
    if entry is None:
        raise InvalidId("The path has no id of a history's entry")
    found = await require_ticket_admin(request)
    return OnHistoryEntry(found.tenant, found.ticket_id, entry)


async def require_ticket_member(request: ApiRequest) -> OnTicket:
    """The same, for members and admins."""
    found = await load_ticket(request)
    if not policies.may_triage(found.tenant):
        raise InsufficientPermissions("Only the company's members may do this")
    return found


async def load_bug_to_track(request: ApiRequest) -> OnBug:
    """A public bug, or what it was merged into, for the team of the company behind it.

    Raises:
        InvalidId, BugNotFound, InsufficientPermissions
    """
    database = request.platform.database
    survivor_id = await find_survivor(database, request.path_id("bug_id"))
    bug = await bug_state(database, survivor_id) if survivor_id else None
    if bug is None:
        raise BugNotFound
    company_id = bug.assigned_company_id
    found = await tenant_of(database, user_id=request.user_id, company_id=company_id) if company_id else None
    if found is None or not is_on_team(found.role):
        raise InsufficientPermissions("Only members of the company behind the bug may track it")
    return OnBug(Tenant(found.company_id, request.user_id, found.role), bug.id)


async def load_removed_or_not(request: ApiRequest) -> OnTicket:
    """A ticket of the company, also a removed one, for admins; the role is checked first.

    Raises:
        InvalidId, ValidationFailed, CompanyRequired, CompanyNotFound, InsufficientPermissions
        TicketNotFound, TicketMoved
    """
    name = _name(request, "ticket", key=_TICKET_KEY)
    tenant = await require_tenant_admin(request)
    return _on(request, tenant, name, await removed_or_not(request.platform.database, tenant, name))


async def load_comment(request: ApiRequest) -> OnComment:
    """A comment of a visible ticket, for its author.

    Raises:
        InvalidId, ValidationFailed, CompanyRequired, CompanyNotFound, InsufficientPermissions
        TicketNotFound, TicketMoved, TicketCommentNotFound
    """
    found = await load_ticket(request)
    comment_id = request.path_id("comment_id")
    comment = await find_comment(request.platform.database, found.tenant, found.ticket_id, comment_id)
    if comment is None:
        raise TicketCommentNotFound
    if not comment.is_by(found.tenant.user_id):
        raise InsufficientPermissions("Only its author may change a comment")
    return OnComment(found.tenant, found.ticket_id, comment_id)


def _on(request: ApiRequest, tenant: Tenant, name: UUID | str, found: FoundTicket | None) -> OnTicket:
    if found is None:
        raise TicketNotFound
    _follow_move(request, name, found.key)
    return OnTicket(tenant, found.id)


def _follow_move(request: ApiRequest, name: UUID | str, key: str) -> None:
    """
    Raises:
        TicketMoved: The path has an old key.
    """
    if isinstance(name, str) and name != key:
        raise TicketMoved(_moved(request, key))


def _moved(request: ApiRequest, key: str) -> str:
    """The same URL with the current key of the ticket."""
    former = request.path_params["ticket"]
    path = request.scope["path"].replace(f"/tickets/{former}", f"/tickets/{key}", 1)
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path
