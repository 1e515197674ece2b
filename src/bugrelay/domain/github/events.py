"""Facts of connections to GitHub: ids and values, never a token.

`actor_id` is who did it; None for what GitHub did. The time of a fact is that of its transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class GitHubConnected:
    """A company's admin connected it to a repository."""

    connection_id: UUID
    company_id: UUID
    values: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class GitHubConnectionChanged:
    """A company's admin changed these fields of the connection; of `token` only that it was changed."""

    connection_id: UUID
    company_id: UUID
    former: Mapping[str, Any]
    values: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class GitHubDisconnected:
    """The connection was removed: by a company's admin, or because a new team has taken the company over."""

    connection_id: UUID
    company_id: UUID
    former: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class GitHubConnectionSwitchedOff:
    """The connection was switched off because GitHub refuses the token."""

    connection_id: UUID
    company_id: UUID
    reason: str
    actor_id: None = None


@dataclass(frozen=True, kw_only=True)
class TicketSynced:
    """A ticket got an issue at GitHub, has none any more, or could not be pushed.

    Attributes:
        outcome: `synced`, `failed` or `ended`.
        number: The issue's, where there is one.
    """

    ticket_id: UUID
    company_id: UUID
    project_id: UUID
    outcome: Literal["synced", "failed", "ended"]
    number: int | None
    version: int
    actor_id: None = None


CHANGES_NOTHING_PUBLIC: tuple[type, ...] = (
    GitHubConnected,
    GitHubConnectionChanged,
    GitHubDisconnected,
    GitHubConnectionSwitchedOff,
    TicketSynced,
)
"""Facts that no cached response shows."""

WRITES_NO_EVENT: tuple[type, ...] = (
    GitHubConnected,
    GitHubConnectionChanged,
    GitHubDisconnected,
    GitHubConnectionSwitchedOff,
)
"""Facts that become no event of the log; the audit log has them."""
