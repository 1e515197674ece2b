"""Who may do what to a company."""

from __future__ import annotations

import pytest

from bugrelay.domain.companies import policies
from bugrelay.domain.companies.models import ADMIN, MEMBER
from bugrelay.domain.companies.schemas import ApplicationState, CompanyState
from bugrelay.infra.ids import new_id
from bugrelay.infra.viewer import ANONYMOUS, SignedInViewer, Viewer

COMPANY = CompanyState(new_id(), "acme.example", True)


def signed_in(*, is_admin: bool = False) -> Viewer:
    return SignedInViewer(new_id(), new_id(), "ada", "ada@people.example", is_admin, True)


def application_on(domain: str) -> ApplicationState:
    return ApplicationState(new_id(), domain, None)


@pytest.mark.parametrize(("role", "expected"), [(ADMIN, True), (MEMBER, False), (None, False)])
def test_the_companys_admins_manage_it(role: str | None, expected: bool) -> None:
    assert policies.may_manage(role) is expected


@pytest.mark.parametrize(
    ("viewer", "role", "domain", "expected"),
    [
        (signed_in(), ADMIN, "acme.example", True),
        (signed_in(), ADMIN, "app.acme.example", False),
        (signed_in(), ADMIN, "another.example", False),
        (signed_in(), ADMIN, "", False),
        (signed_in(), MEMBER, "acme.example", False),
        (signed_in(), None, "acme.example", False),
        (signed_in(is_admin=True), None, "another.example", True),
        (signed_in(is_admin=True), None, "", True),
        (ANONYMOUS, None, "acme.example", False),
    ],
)
def test_applications_are_linked_by_system_admins_and_on_its_domain_by_the_companys(
    viewer: Viewer, role: str | None, domain: str, expected: bool
) -> None:
    assert policies.may_link(viewer, COMPANY, application_on(domain), company_role=role) is expected
