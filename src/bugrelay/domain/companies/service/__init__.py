"""Use cases of companies: naming by reports, claims, verification, teams, profiles, links to applications."""

from bugrelay.domain.companies.service.linking import assign_application
from bugrelay.domain.companies.service.naming import NamedApplication, name_application
from bugrelay.domain.companies.service.team import add_member
from bugrelay.domain.companies.service.verification import (
    unverify_company,
    verify_company,
    vouch_for_member,
)

__all__ = [
    "NamedApplication",
    "add_member",
    "assign_application",
    "name_application",
    "unverify_company",
    "verify_company",
    "vouch_for_member",
]
