"""Who may do what to a company; pure functions of the facts."""

from __future__ import annotations

from bugrelay.domain.companies.models import ADMIN, TEAM_ROLES
from bugrelay.domain.companies.schemas import ApplicationState, CompanyState
from bugrelay.infra.viewer import Viewer


def may_manage(company_role: str | None) -> bool:
    """The team and the profile: the company's admins. A role is one in a verified company."""
    return company_role == ADMIN


def is_on_team(company_role: str | None) -> bool:
    """Admins and members: who works for the company, not who only reports to it."""
    return company_role in TEAM_ROLES


def may_link(
    viewer: Viewer, company: CompanyState, application: ApplicationState, *, company_role: str | None
) -> bool:
    """System admins link anything; the company's admins what lies on the domain that they have proven."""
    return viewer.is_admin or (may_manage(company_role) and application.domain == company.domain)
