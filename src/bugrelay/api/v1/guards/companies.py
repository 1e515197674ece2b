"""Loaders for companies and applications in a path, run before the body is read: 404 if missing, 403 if refused."""

from __future__ import annotations

from dataclasses import dataclass

from bugrelay.domain.companies import policies, repository
from bugrelay.domain.companies.errors import ApplicationNotFound, CompanyNotFound, NotMember
from bugrelay.domain.companies.schemas import ApplicationState, CompanyState
from bugrelay.errors import InsufficientPermissions
from bugrelay.http.request import ApiRequest


@dataclass(frozen=True)
class Membership:
    """The viewer's role in the company in the path, which is verified."""

    company: CompanyState
    role: str


async def load_company(request: ApiRequest) -> CompanyState:
    """The company in the path.

    Raises:
        InvalidId, CompanyNotFound
    """
    company = await repository.company_state(request.platform.database, request.path_id("company_id"))
    if company is None:
        raise CompanyNotFound
    return company


async def load_application(request: ApiRequest) -> ApplicationState:
    """The application in the path.

    Raises:
        InvalidId, ApplicationNotFound
    """
    application = await repository.application_state(
        request.platform.database, request.path_id("application_id")
    )
    if application is None:
        raise ApplicationNotFound
    return application


async def require_member(request: ApiRequest) -> Membership:
    """Members of the company. Who is a member is revealed to members only."""
    company = await load_company(request)
    role = await _role(request, company)
    if role is None:
        raise NotMember
    return Membership(company, role)


async def require_company_admin(request: ApiRequest) -> CompanyState:
    membership = await require_member(request)
    if not policies.may_manage(membership.role):
        raise InsufficientPermissions("Only the company's admins may do this")
    return membership.company


async def require_may_link(request: ApiRequest) -> None:
    """For system admins, and for the company's admins if the application is at the company's domain."""
    company = await load_company(request)
    application = await load_application(request)
    role = await _role(request, company)
    if not policies.may_link(request.viewer, company, application, company_role=role):
        raise InsufficientPermissions("The application must lie on the domain that your company has proven")


async def _role(request: ApiRequest, company: CompanyState) -> str | None:
    """The viewer's role in the company, while it is verified."""
    return await repository.role_of(request.platform.database, user_id=request.user_id, company_id=company.id)
