"""What a path names, looked up before the body is read: missing is 404, not for this viewer 403."""

from __future__ import annotations

from bugrelay.domain.companies import policies, repository
from bugrelay.domain.companies.errors import ApplicationNotFound, CompanyNotFound, NotMember
from bugrelay.domain.companies.repository import CompanyState
from bugrelay.errors import InsufficientPermissions
from bugrelay.http.request import ApiRequest


async def load_company(request: ApiRequest) -> CompanyState:
    """The company of the path.

    Raises:
        InvalidId, CompanyNotFound
    """
    company = await repository.company_state(request.platform.database, request.path_id("company_id"))
    if company is None:
        raise CompanyNotFound
    return company


async def member_role(request: ApiRequest, company: CompanyState) -> str | None:
    """The viewer's role in the company, while it is verified."""
    return await repository.role_of(request.platform.database, user_id=request.user_id, company_id=company.id)


async def require_company(request: ApiRequest) -> None:
    await load_company(request)


async def require_member(request: ApiRequest) -> None:
    """Members of the company."""
    if await member_role(request, await load_company(request)) is None:
        raise NotMember


async def require_company_admin(request: ApiRequest) -> None:
    """The company's admins. Who else is a member is told to nobody but them."""
    role = await member_role(request, await load_company(request))
    if role is None:
        raise NotMember
    if not policies.may_manage(role):
        raise InsufficientPermissions("Only the company's admins may do this")


async def require_may_link(request: ApiRequest) -> None:
    """System admins, and the company's admins where the application lies on the company's domain."""
    company = await load_company(request)
    application = await repository.application_state(
        request.platform.database, request.path_id("application_id")
    )
    if application is None:
        raise ApplicationNotFound
    role = await member_role(request, company)
    if not policies.may_link(request.viewer, company, application, company_role=role):
        raise InsufficientPermissions("The application must lie on the domain that your company has proven")
