"""The user of a request, with their current rights; or an anonymous viewer."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Viewer:
    """The rights are read from the database for each request, so a demotion takes effect at the next one.

    `is_admin` is false for an admin who calls from outside of ADMIN_ALLOWED_NETWORKS (http/guard.py). The companies
    domain knows what a user may do for a company.
    """

    user_id: UUID | None = None
    session_id: UUID | None = None
    username: str = ""
    email: str = ""
    is_admin: bool = False
    is_email_verified: bool = False

    @property
    def signed_in(self) -> bool:
        return self.user_id is not None


@dataclass(frozen=True)
class SignedInViewer(Viewer):
    """A viewer who is signed in, with a session."""

    user_id: UUID
    session_id: UUID


ANONYMOUS = Viewer()
