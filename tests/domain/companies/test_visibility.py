"""What of a company's team a viewer may see; the conditions in SQL are tested through the lists that use them."""

from __future__ import annotations

import pytest

from bugrelay.domain.companies import visibility
from bugrelay.domain.companies.models import ADMIN, MEMBER


@pytest.mark.parametrize(("role", "expected"), [(ADMIN, True), (MEMBER, False), (None, False)])
def test_admins_alone_see_which_members_are_effective_and_the_former_ones(
    role: str | None, expected: bool
) -> None:
    assert visibility.sees_effective(role) is expected
    assert visibility.sees_former_members(role) is expected


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("bob@acme.example", "bob@acme.example"),
        ("bob@mail.acme.example", None),
        ("bob@people.example", None),
    ],
)
def test_of_former_members_only_addresses_at_the_companys_domain_are_shown(
    email: str, expected: str | None
) -> None:
    assert visibility.visible_address_of_former(email, company_domain="acme.example") == expected
