"""Cache keys of companies and applications, and the facts that invalidate their group.

Only public content is cached: single companies and applications, and first pages of lists, as anonymous readers see
them: names, teams, and the counts of listed bugs by status.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from bugrelay.domain.accounts.events import AccountErased, EmailVerified, ProfileChanged
from bugrelay.domain.bugs.events import (
    BugImported,
    BugMerged,
    BugRemoved,
    BugReported,
    BugRestored,
    BugUnmerged,
    StatusChanged,
)
from bugrelay.domain.companies.events import (
    ApplicationAdded,
    ApplicationAssigned,
    CompanyAdded,
    CompanyEdited,
    CompanyUnverified,
    CompanyVerified,
    MemberActivityChanged,
    MemberAdded,
    MemberLeft,
    MemberRoleChanged,
)
from bugrelay.infra.redis.invalidation import Invalidations

COMPANIES = "companies"

_canonical = msgspec.json.Encoder().encode


def list_key(kind: str, query: msgspec.Struct) -> str:
    """The canonical key of a query, the same for any order of parameters."""
    return f"{kind}:{_canonical(query).decode()}"


def _companies(_fact: Any) -> Iterable[str]:
    return (COMPANIES,)


INVALIDATIONS: Invalidations = {
    BugReported: _companies,
    BugImported: _companies,
    StatusChanged: _companies,
    BugRemoved: _companies,
    BugRestored: _companies,
    BugMerged: _companies,
    BugUnmerged: _companies,
    CompanyAdded: _companies,
    CompanyEdited: _companies,
    CompanyVerified: _companies,
    CompanyUnverified: _companies,
    ApplicationAdded: _companies,
    ApplicationAssigned: _companies,
    MemberAdded: _companies,
    MemberRoleChanged: _companies,
    MemberActivityChanged: _companies,
    MemberLeft: _companies,
    EmailVerified: _companies,  # it makes memberships for that address effective
    ProfileChanged: _companies,
    AccountErased: _companies,
}
