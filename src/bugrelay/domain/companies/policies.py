"""Who may do what to a company: pure functions."""

from __future__ import annotations

from bugrelay.domain.companies.models import ADMIN, TEAM_ROLES
from bugrelay.domain.companies.schemas import ApplicationState, CompanyState
from bugrelay.infra.viewer import Viewer


def may_manage(company_role: str | None) -> bool:
    """Admins may change the team and the profile. The role is one in a verified company."""
    return company_role == ADMIN


def is_on_team(company_role: str | None) -> bool:
    """Whether this is a role of the team: an admin or a member, not a reporter."""
    return company_role in TEAM_ROLES


def may_link(
    viewer: Viewer, company: CompanyState, application: ApplicationState, *, company_role: str | None
) -> bool:
    """System admins may link any application; the company's admins those at the domain that they have proven."""
    return viewer.is_admin or (may_manage(company_role) and application.domain == company.domain)
