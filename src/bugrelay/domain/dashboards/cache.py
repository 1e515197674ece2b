"""What of the figures is cached, and which event drops it.

Only what everybody may see: single companies and applications, and first pages of lists, as the anonymous see them.
"""

from __future__ import annotations

import msgspec

from bugrelay.domain.bugs.events import BugChanged
from bugrelay.domain.companies.events import ApplicationLinked, CompanyChanged
from bugrelay.infra.platform import Platform

FIGURES = "figures"

_canonical = msgspec.json.Encoder().encode


def list_key(kind: str, query: msgspec.Struct) -> str:
    """One key for all spellings of a query."""
    return f"{kind}:{_canonical(query).decode()}"


def subscribe(platform: Platform) -> None:
    async def forget(_event: BugChanged | ApplicationLinked | CompanyChanged) -> None:
        await platform.cache.invalidate(FIGURES)

    platform.bus.subscribe_afterwards(BugChanged, forget)
    platform.bus.subscribe_afterwards(ApplicationLinked, forget)
    platform.bus.subscribe_afterwards(CompanyChanged, forget)
