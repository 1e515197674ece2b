"""Audits changes of connections in the same transaction: connections send data to another service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.github.events import (
    GitHubConnected,
    GitHubConnectionChanged,
    GitHubConnectionSwitchedOff,
    GitHubDisconnected,
)
from bugrelay.domain.moderation.models import Action
from bugrelay.domain.moderation.service.audit import Change, audit_company_acts

Act: TypeAlias = GitHubConnected | GitHubConnectionChanged | GitHubDisconnected | GitHubConnectionSwitchedOff
_ACTIONS: dict[type[Act], Action] = {
    GitHubConnected: "github_connect",
    GitHubConnectionChanged: "github_change",
    GitHubDisconnected: "github_disconnect",
    GitHubConnectionSwitchedOff: "github_switch_off",
}
AUDITED = tuple(_ACTIONS)


async def audit_acts(session: AsyncSession, acts: Sequence[Act]) -> None:
    """Write an audit row for each act."""
    await audit_company_acts(
        session,
        acts,
        actions=_ACTIONS,
        resource="github",
        id_of=lambda act: act.connection_id,
        change_of=_change,
    )


def _change(act: Act) -> Change:
    match act:
        case GitHubConnected(values=values):
            return None, dict(values)
        case GitHubConnectionChanged(former=former, values=values):
            return dict(former), dict(values)
        case GitHubDisconnected(former=former):
            return dict(former), None
        case GitHubConnectionSwitchedOff(reason=reason):
            return {"enabled": True}, {"enabled": False, "switched_off_reason": reason}
