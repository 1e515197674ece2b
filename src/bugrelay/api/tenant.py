"""The tenant of a request: loaders for the routes of the private half.

`X-Company-ID` or `?company=` names a company by its id or domain. Users who belong to only one need not name it.
"""

from __future__ import annotations

from collections.abc import Iterable

from bugrelay.domain.companies import policies
from bugrelay.domain.companies.errors import CompanyNotFound, CompanyRequired
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.companies.service.tenants import find_tenant
from bugrelay.errors import InsufficientPermissions, ValidationFailed
from bugrelay.http.request import ApiRequest
from bugrelay.infra.ids import parse_id

HEADER, PARAMETER = "X-Company-ID", "company"


async def require_tenant(request: ApiRequest) -> Tenant:
    """The viewer's tenant, in any role.

    Raises:
        AuthRequired, ValidationFailed, CompanyRequired, CompanyNotFound
    """
    return await find_tenant(request.platform.database, request.user_id, named=_named(request))


async def require_tenant_member(request: ApiRequest) -> Tenant:
    """The viewer's tenant, for members and admins.

    Raises:
        AuthRequired, ValidationFailed, CompanyRequired, CompanyNotFound, InsufficientPermissions
    """
    tenant = await require_tenant(request)
    if not policies.is_on_team(tenant.role):
        raise InsufficientPermissions("Only the company's members may do this")
    return tenant


async def require_tenant_admin(request: ApiRequest) -> Tenant:
    """The viewer's tenant, for admins.

    Raises:
        AuthRequired, ValidationFailed, CompanyRequired, CompanyNotFound, InsufficientPermissions
    """
    tenant = await require_tenant(request)
    if not policies.may_manage(tenant.role):
        raise InsufficientPermissions("Only the company's admins may do this")
    return tenant


async def load_tenant(request: ApiRequest) -> Tenant | None:
    """The viewer's tenant on a route that does not need one; None if there is none, or several and none is named.

    Raises:
        ValidationFailed
    """
    if not request.viewer.signed_in:
        return None
    try:
        return await require_tenant(request)
    except (CompanyRequired, CompanyNotFound):
        return None


def _named(request: ApiRequest) -> set[str]:
    return company_names([*request.headers.getall(HEADER, []), *request.query_list(PARAMETER)])


def company_names(sent: Iterable[str]) -> set[str]:
    """What a request calls its company: nothing, an id, a domain, or both.

    Raises:
        ValidationFailed: Two ids or two domains, of which a proxy might check another one than we do.
    """
    names = {name for one in sent if (name := one.strip().lower())}
    ids = {name for name in names if parse_id(name) is not None}
    if len(ids) > 1 or len(names - ids) > 1:
        raise ValidationFailed.of(PARAMETER, f"must name the same company as {HEADER} does")
    return names
