"""Wrong passwords slow guessing down, by account and address together.

After five wrong passwords for an account from one address, that address waits: 30 seconds, then twice as long after
each further one, up to fifteen minutes. A hundred from anywhere make every address wait that the owner has not signed
in from, for the rest of the fifteen minutes. Addresses without an account are treated alike: nothing tells them apart.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete

from bugrelay.domain.accounts import repository
from bugrelay.domain.accounts.errors import AccountLocked
from bugrelay.domain.accounts.models import SignInFailure, account_hash
from bugrelay.infra.addresses import limit_identity
from bugrelay.infra.ids import new_id
from bugrelay.infra.platform import Platform
from bugrelay.infra.unit_of_work import UnitOfWork

WINDOW = timedelta(minutes=15)
FREE_GUESSES = 5
FREE_GUESSES_FROM_ANYWHERE = 100
FIRST_WAIT_SECONDS = 30


async def check_guesses(platform: Platform, *, email: str, ip_address: str) -> int:
    """How many wrong passwords of this account came from this address; `ip_address` is what limits count by.

    Raises:
        AccountLocked: This address must wait; `Retry-After` says how long.
    """
    failures = await repository.recent_failures(
        platform.database, account_hash=account_hash(email), ip_address=ip_address, window=WINDOW
    )
    now = datetime.now(UTC)
    free_at = now
    if failures.from_here >= FREE_GUESSES and failures.last_from_here is not None:
        wait = FIRST_WAIT_SECONDS * 2 ** (failures.from_here - FREE_GUESSES)
        free_at = failures.last_from_here + min(timedelta(seconds=wait), WINDOW)
    if failures.from_anywhere >= FREE_GUESSES_FROM_ANYWHERE and failures.first_from_anywhere is not None:
        used = await repository.addresses_used_by(platform.database, email)
        if ip_address not in map(limit_identity, used):
            free_at = max(free_at, failures.first_from_anywhere + WINDOW)
    if free_at > now:
        raise AccountLocked(retry_after_seconds=math.ceil((free_at - now).total_seconds()))
    return failures.from_here


async def record_failure(work: UnitOfWork, *, email: str, ip_address: str) -> None:
    work.session.add(SignInFailure(id=new_id(), account_hash=account_hash(email), ip_address=ip_address))


async def forget_failures(work: UnitOfWork, *, email: str, ip_address: str) -> None:
    """The right password clears what was guessed from here."""
    await work.session.execute(
        delete(SignInFailure).where(
            SignInFailure.account_hash == account_hash(email), SignInFailure.ip_address == ip_address
        )
    )
