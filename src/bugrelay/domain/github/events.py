"""What has happened between a company and GitHub: facts in the past tense, with ids and values, never with a token.

`actor_id` is who did it, None for what GitHub did or answered. All happened at the time of their transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class GitHubConnected:
    """A company's admin said which repository its tickets have their issues in."""

    connection_id: UUID
    company_id: UUID
    values: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class GitHubConnectionChanged:
    """A company's admin changed these fields of the connection; "token" says only that there is another one."""

    connection_id: UUID
    company_id: UUID
    former: Mapping[str, Any]
    values: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class GitHubDisconnected:
    """The connection is gone: by a company's admin, or because a new claim began a new team."""

    connection_id: UUID
    company_id: UUID
    former: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class GitHubConnectionSwitchedOff:
    """GitHub refuses the token."""

    connection_id: UUID
    company_id: UUID
    reason: str
    actor_id: None = None


@dataclass(frozen=True, kw_only=True)
class TicketSynced:
    """A ticket has an issue at GitHub now, or has none any more, or none could be made.

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
"""Facts that the event log does not tell of; the audit log does."""
