"""Facts about accounts, in the past tense; the actor is the owner unless a fact says otherwise.

They have no names and no addresses, since subscribers may store them for longer than the account exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class AccountRegistered:
    """An account was created, by registration or, for a system admin, at the command line."""

    user_id: UUID
    is_admin: bool


@dataclass(frozen=True, kw_only=True)
class EmailVerified:
    """The owner proved the address, which makes memberships that depend on it effective."""

    user_id: UUID


@dataclass(frozen=True, kw_only=True)
class ProfileChanged:
    """The owner changed these fields of the profile."""

    user_id: UUID
    fields: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PasswordChanged:
    """The password was replaced, by means of the former one or, with `by_link`, of a mailed link."""

    user_id: UUID
    by_link: bool


@dataclass(frozen=True, kw_only=True)
class IdentityLinked:
    """An identity of that provider was linked: it can sign in to the account."""

    user_id: UUID
    provider: str


@dataclass(frozen=True, kw_only=True)
class IdentityUnlinked:
    """The identity of that provider was unlinked: it cannot sign in to the account any more."""

    user_id: UUID
    provider: str


@dataclass(frozen=True, kw_only=True)
class AccountErased:
    """The owner erased the account; other domains delete their personal data in the same transaction."""

    user_id: UUID


CHANGES_NOTHING_PUBLIC: tuple[type, ...] = (
    AccountRegistered,
    PasswordChanged,
    IdentityLinked,
    IdentityUnlinked,
)
"""Facts that no cached response shows."""

WRITES_NO_EVENT: tuple[type, ...] = (
    AccountRegistered,
    EmailVerified,
    ProfileChanged,
    PasswordChanged,
    AccountErased,
    IdentityLinked,
    IdentityUnlinked,
)
"""Facts without an event in the log, which names people by their ids only."""
