"""Who is asking: nobody in particular, or a user with the rights they have at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Viewer:
    """The rights are read from the database for each request, so a demotion holds from the next one on.

    `is_admin` is false also for an admin who calls from outside ADMIN_ALLOWED_NETWORKS (http/guard.py).
    What somebody may do for a company is asked of the companies domain, where it matters.
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
    """A viewer who is a user, in a session."""

    user_id: UUID
    session_id: UUID


ANONYMOUS = Viewer()
