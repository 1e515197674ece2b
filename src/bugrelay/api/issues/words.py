"""The terms of the issue API, and the terms of tickets that they correspond to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, cast

from msgspec import Meta

from bugrelay.domain.tickets.schemas import Priority
from bugrelay.domain.tickets.schemes import SCHEMES
from bugrelay.infra.validation import Check, OneLine

SCHEME = SCHEMES["issues"]
"""Issues are the tickets of projects with this scheme."""

Severity = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]

_FIELDS = {"priority": "severity", "assignee_ids": "assignee_id"}


def _known(status: str) -> str:
    if status not in SCHEME.statuses:
        raise ValueError(f"must be one of {', '.join(SCHEME.statuses)}")
    return status


IssueStatus = Annotated[str, OneLine, Meta(max_length=50), Check(_known)]


def priority_of(severity: Severity) -> Priority:
    return cast(Priority, severity.lower())


def severity_of(priority: str) -> Severity:
    return cast(Severity, priority.upper())


def field_names(fields: Iterable[str]) -> list[str]:
    """Names of a ticket's fields, as issues name them."""
    return [_FIELDS.get(name, name) for name in fields]
