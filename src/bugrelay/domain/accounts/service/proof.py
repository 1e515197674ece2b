"""The proof by password: who gives the right one, with wrong ones slowed down wherever a password is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bugrelay.domain.accounts import repository
from bugrelay.domain.accounts.errors import InvalidCredentials, InvalidCurrentPassword
from bugrelay.domain.accounts.repository import StoredPassword
from bugrelay.domain.accounts.service.guesses import check_guesses, record_failure
from bugrelay.infra.platform import Platform


@dataclass(frozen=True)
class Proof:
    """Who gave the right password.

    Attributes:
        user_id: Whose password it is.
        set_at: When that password was set: whoever acts on the proof looks, under a lock, that it still is.
        guessed_before: Whether wrong passwords came from here before it.
        fresh_hash: The same password hashed with today's parameters, where those have changed.
    """

    user_id: UUID
    set_at: datetime
    guessed_before: bool
    fresh_hash: str | None


async def prove_by_address(platform: Platform, *, email: str, password: str, ip_address: str) -> Proof:
    """Whose address and password these are; the same work, whether or not there is such an account.

    Raises:
        InvalidCredentials, AccountLocked
    """
    guesses = await check_guesses(platform, email=email, ip_address=ip_address)
    stored = await repository.password_at(platform.database, email)
    password_hash = stored.password_hash if stored else None
    if (
        not await platform.passwords.verify(password_hash, password)
        or stored is None
        or password_hash is None
    ):
        await _count_guess(platform, email=email, ip_address=ip_address)
        raise InvalidCredentials
    fresh_hash = None
    if platform.passwords.needs_rehash(password_hash):
        fresh_hash = await platform.passwords.hash(password)
    return Proof(stored.user_id, stored.set_at, guesses > 0, fresh_hash)


async def prove_current(
    platform: Platform, *, user_id: UUID, email: str, password: str, ip_address: str
) -> StoredPassword:
    """The password of a signed-in user, who gave it again: a stolen session is not enough to guess it.

    Raises:
        InvalidCurrentPassword, AccountLocked
    """
    await check_guesses(platform, email=email, ip_address=ip_address)
    stored = await repository.password_of(platform.database, user_id)
    matches = await platform.passwords.verify(stored.password_hash if stored else None, password)
    if stored is None or not matches:
        await _count_guess(platform, email=email, ip_address=ip_address)
        raise InvalidCurrentPassword
    return stored


async def _count_guess(platform: Platform, *, email: str, ip_address: str) -> None:
    async with platform.work() as work:
        await record_failure(work, email=email, ip_address=ip_address)
