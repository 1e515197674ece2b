"""Password checks, all under the login throttle."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bugrelay.domain.accounts import repository
from bugrelay.domain.accounts.errors import InvalidCredentials, InvalidCurrentPassword, PasswordNotSet
from bugrelay.domain.accounts.repository import StoredPassword
from bugrelay.domain.accounts.service.login_throttle import counted_guess
from bugrelay.infra.db.database import Database
from bugrelay.infra.security.passwords import Passwords


@dataclass(frozen=True)
class PasswordCheck:
    """A password that was checked and is right.

    Attributes:
        user_id: The user whose password it is.
        set_at: When it was set. Use cases compare this under a lock, to be sure that the password is still the same.
        fresh_hash: The password hashed with the current parameters, if they have changed since.
    """

    user_id: UUID
    set_at: datetime
    fresh_hash: str | None


async def check_password_at_address(
    *, email: str, password: str, ip_address: str, database: Database, passwords: Passwords
) -> PasswordCheck:
    """Check an address and its password; takes the same work whether or not there is such an account.

    Raises:
        InvalidCredentials, AccountLocked
    """
    async with counted_guess(database, email=email, ip_address=ip_address):
        stored = await _matching(passwords, await repository.password_at(database, email), password)
        if stored is None:
            raise InvalidCredentials
    fresh_hash = None
    if stored.password_hash is not None and passwords.needs_rehash(stored.password_hash):
        fresh_hash = await passwords.hash(password)
    return PasswordCheck(stored.user_id, stored.set_at, fresh_hash)


async def check_current_password(
    user_id: UUID, *, email: str, password: str, ip_address: str, database: Database, passwords: Passwords
) -> StoredPassword:
    """Check the current password of a signed-in user; throttled as well, so a stolen session cannot guess it.

    Raises:
        InvalidCurrentPassword, AccountLocked
        PasswordNotSet: The account has no password, only identities of providers.
    """
    async with counted_guess(database, email=email, ip_address=ip_address):
        current = await repository.password_of(database, user_id)
        if current is not None and current.password_hash is None:
            raise PasswordNotSet
        stored = await _matching(passwords, current, password)
        if stored is None:
            raise InvalidCurrentPassword
    return stored


async def _matching(
    passwords: Passwords, stored: StoredPassword | None, password: str
) -> StoredPassword | None:
    """The stored password if this one matches; otherwise None, after the same work."""
    matches = await passwords.verify(stored.password_hash if stored else None, password)
    return stored if matches else None
