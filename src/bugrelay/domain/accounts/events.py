"""What has happened to an account: facts in the past tense, by its owner unless they say otherwise.

No names and no addresses: whoever hears of them may keep a fact for longer than the account lives.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class AccountRegistered:
    """Somebody has an account; a system admin's is made at the command line."""

    user_id: UUID
    is_admin: bool


@dataclass(frozen=True, kw_only=True)
class EmailVerified:
    """The owner proved the address; what depended on that counts from now on."""

    user_id: UUID


@dataclass(frozen=True, kw_only=True)
class ProfileChanged:
    """The owner changed these fields."""

    user_id: UUID
    fields: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PasswordChanged:
    """The account has another password, set with the former one or, `by_link`, with a mailed link."""

    user_id: UUID
    by_link: bool


@dataclass(frozen=True, kw_only=True)
class IdentityLinked:
    """An identity of that provider opens the account from now on."""

    user_id: UUID
    provider: str


@dataclass(frozen=True, kw_only=True)
class IdentityUnlinked:
    """The identity of that provider opens the account no more."""

    user_id: UUID
    provider: str


@dataclass(frozen=True, kw_only=True)
class AccountErased:
    """The owner erased the account; what other domains know about the person goes too, in the same transaction."""

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
"""Facts that the event log does not tell of: it names people by their ids, which outlive their accounts."""
