"""The tenant of a request: loaders of the routes of the private half.

`X-Company-ID` or `?company=` names a company by its id or domain. Who belongs to one only need not name it.
"""

from __future__ import annotations

from collections.abc import Iterable

from bugrelay.domain.companies import policies
from bugrelay.domain.companies.errors import CompanyNotFound, CompanyRequired
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.companies.service.tenants import find_tenant
from bugrelay.errors import InsufficientPermissions, ValidationFailed
from bugrelay.http.request import ApiRequest

HEADER, PARAMETER = "X-Company-ID", "company"


async def require_tenant(request: ApiRequest) -> Tenant:
    """The viewer's tenant, whatever their role in it.

    Raises:
        AuthRequired, ValidationFailed, CompanyRequired, CompanyNotFound
    """
    return await find_tenant(request.platform.database, request.user_id, named=_named(request))


async def require_tenant_member(request: ApiRequest) -> Tenant:
    """The same, for members and admins.

    Raises:
        AuthRequired, ValidationFailed, CompanyRequired, CompanyNotFound, InsufficientPermissions
    """
    tenant = await require_tenant(request)
    if not policies.is_on_team(tenant.role):
        raise InsufficientPermissions("Only the company's members may do this")
    return tenant


async def require_tenant_admin(request: ApiRequest) -> Tenant:
    """The same, for admins.

    Raises:
        AuthRequired, ValidationFailed, CompanyRequired, CompanyNotFound, InsufficientPermissions
    """
    tenant = await require_tenant(request)
    if not policies.may_manage(tenant.role):
        raise InsufficientPermissions("Only the company's admins may do this")
    return tenant


async def load_tenant(request: ApiRequest) -> Tenant | None:
    """The viewer's tenant on a route that needs none; None where there is none, or it is not clear which.

    Raises:
        ValidationFailed
    """
    if not request.viewer.signed_in:
        return None
    try:
        return await require_tenant(request)
    except (CompanyRequired, CompanyNotFound):
        return None


def _named(request: ApiRequest) -> str | None:
    return one_company([*request.headers.getall(HEADER, []), *request.query_list(PARAMETER)])


def one_company(sent: Iterable[str]) -> str | None:
    """The company that a request names in one or more places, alike in each; None where it names none.

    Raises:
        ValidationFailed: It names two, of which each of us might believe another one.
    """
    names = {name for one in sent if (name := one.strip().lower())}
    if len(names) > 1:
        raise ValidationFailed.of(PARAMETER, f"must name the same company as {HEADER} does")
    return names.pop() if names else None
