"""Use cases of companies: creation by reports, claims, verification, teams, tenants, profiles, applications."""

from bugrelay.domain.companies.service.applications import (
    NamedApplication,
    ResolvedApplication,
    get_or_create_application,
    record_created,
)
from bugrelay.domain.companies.service.assignment import assign_application
from bugrelay.domain.companies.service.team import add_member
from bugrelay.domain.companies.service.verification import (
    add_trusted_member,
    unverify_company,
    verify_company,
)

__all__ = [
    "NamedApplication",
    "ResolvedApplication",
    "add_member",
    "add_trusted_member",
    "assign_application",
    "get_or_create_application",
    "record_created",
    "unverify_company",
    "verify_company",
]
