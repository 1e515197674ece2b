"""Which event of the log each fact of companies becomes: changes of memberships (docs/events.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol
from uuid import UUID

from bugrelay.domain.companies import events
from bugrelay.domain.events.schemas import LogEntry, LogTable


class _OfMember(Protocol):
    """A fact about one membership."""

    @property
    def company_id(self) -> UUID: ...
    @property
    def user_id(self) -> UUID: ...
    @property
    def actor_id(self) -> UUID | None: ...


def _changed(change: str, fact: _OfMember, **data: Any) -> Iterable[LogEntry]:
    yield LogEntry(
        stream=fact.company_id,
        type="member.changed",
        actor_id=fact.actor_id,
        visibility="tenant",
        data={"change": change, "user_id": fact.user_id, **data},
    )


ENTRIES: LogTable = {
    events.MemberAdded: lambda fact: _changed("added", fact, role=fact.role),
    events.MemberRoleChanged: lambda fact: _changed("role", fact, role=fact.role),
    events.MemberActivityChanged: lambda fact: _changed(
        "activated" if fact.is_active else "deactivated", fact, role=fact.role
    ),
    events.MemberLeft: lambda fact: _changed("left", fact),
}
