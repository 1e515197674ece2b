"""The names of roles in the older APIs, whose clients expect them.

A role may be sent by any of its names. Responses use the names of the API that the sent name belongs to; if none was
sent, those of the ticket API.
"""

from __future__ import annotations

from bugrelay.domain.companies.schemas import Role, RoleName

TICKET_API: dict[Role, RoleName] = {"admin": "admin", "member": "manager", "reporter": "user"}
ISSUE_API: dict[Role, RoleName] = {"admin": "ADMIN", "member": "MAINTAINER", "reporter": "REPORTER"}
OURS: dict[Role, RoleName] = {"admin": "admin", "member": "member", "reporter": "reporter"}


def role_named(name: RoleName) -> Role:
    """The role with this name, in any API."""
    return next(role for names in (TICKET_API, ISSUE_API, OURS) for role in names if names[role] == name)


def names_with(name: RoleName | None) -> dict[Role, RoleName]:
    """The names of all roles in the API that this name belongs to; "admin" is the ticket API's."""
    return next((names for names in (TICKET_API, ISSUE_API, OURS) if name in names.values()), TICKET_API)
