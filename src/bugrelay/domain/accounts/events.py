"""What has happened to an account."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class AccountErased:
    """The owner erased the account; what other domains know about the person goes too, in the same transaction."""

    user_id: UUID
