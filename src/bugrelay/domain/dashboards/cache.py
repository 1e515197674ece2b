"""What of the figures is cached, and which fact drops it.

Only what everybody may see: single companies and applications, and first pages of lists, as the anonymous see them:
names, teams, and the visible bugs by status.
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
    MemberAdded,
    MemberLeft,
    MemberRoleChanged,
)
from bugrelay.infra.redis.invalidation import Invalidations

FIGURES = "figures"

_canonical = msgspec.json.Encoder().encode


def list_key(kind: str, query: msgspec.Struct) -> str:
    """One key for all spellings of a query."""
    return f"{kind}:{_canonical(query).decode()}"


def _figures(_fact: Any) -> Iterable[str]:
    return (FIGURES,)


INVALIDATIONS: Invalidations = {
    BugReported: _figures,
    BugImported: _figures,
    StatusChanged: _figures,
    BugRemoved: _figures,
    BugRestored: _figures,
    BugMerged: _figures,
    BugUnmerged: _figures,
    CompanyAdded: _figures,
    CompanyEdited: _figures,
    CompanyVerified: _figures,
    CompanyUnverified: _figures,
    ApplicationAdded: _figures,
    ApplicationAssigned: _figures,
    MemberAdded: _figures,
    MemberRoleChanged: _figures,
    MemberLeft: _figures,
    EmailVerified: _figures,  # a membership that depended on the address counts from now on
    ProfileChanged: _figures,
    AccountErased: _figures,
}
