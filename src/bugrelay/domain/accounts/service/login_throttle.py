"""The login throttle: exponential back-off after wrong passwords, for each account and network address.

After five wrong passwords for an account from one network address, that address must wait: 30 seconds, doubled by each
further failure, up to fifteen minutes. After a hundred from anywhere, every address from which the owner has not signed
in must wait for the rest of the fifteen minutes. E-mail addresses without an account are treated in the same way, so
that nobody can learn whether there is one.

A guess is counted, by a committed row, before it is checked, so concurrent guesses gain nothing, in whatever processes.
While a counted guess is still being checked, further guesses that it would lock out wait for its result.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID
from weakref import WeakValueDictionary

from sqlalchemy import bindparam, delete, text, update

from bugrelay.domain.accounts import repository
from bugrelay.domain.accounts.errors import AccountLocked, InvalidCredentials, InvalidCurrentPassword
from bugrelay.domain.accounts.models import SignInFailure, account_hash
from bugrelay.infra.client_address import limit_identity
from bugrelay.infra.db.database import Database
from bugrelay.infra.db.query import Query, Row
from bugrelay.infra.ids import new_id

WINDOW = timedelta(minutes=15)
FREE_GUESSES = 5
FREE_GUESSES_FROM_ANYWHERE = 100
FIRST_WAIT = timedelta(seconds=30)
CHECKED_WITHIN = timedelta(seconds=10)  # longer than any request; older checks were interrupted
_POLL_SECONDS = 0.05
_RULES = {
    "free_here": FREE_GUESSES,
    "free_anywhere": FREE_GUESSES_FROM_ANYWHERE,
    "first_wait": FIRST_WAIT,
    "guess_window": WINDOW,
    "checked_within": CHECKED_WITHIN,
}


class _Counted(Row):
    """The outcome of a guess: "counted", "busy", "locked" or "locked from elsewhere"; for the last two, the wait."""

    outcome: str
    seconds: float


_BUSY = _Counted("busy", 0)
_COUNT = Query(
    text(
        "SELECT outcome, seconds FROM count_guess(:guess, :account, :address, :known, :free_here, :free_anywhere,"
        " :first_wait, :guess_window, :checked_within)"
    ),
    _Counted,
)
_WRONG = Query(
    update(SignInFailure)
    .where(SignInFailure.id == bindparam("guess"))
    .values(under_way=False)
    .returning(SignInFailure.id),
    UUID,
)
_UNCHECKED = Query(
    delete(SignInFailure).where(SignInFailure.id == bindparam("guess")).returning(SignInFailure.id), UUID
)
# The right password clears the failures from this address, except guesses that are still being checked.
_RIGHT = Query(
    delete(SignInFailure)
    .where(
        SignInFailure.account_hash == bindparam("account"),
        SignInFailure.ip_address == bindparam("address"),
        SignInFailure.under_way.is_(False) | (SignInFailure.id == bindparam("guess")),
    )
    .returning(SignInFailure.id),
    UUID,
)

# Limits the concurrent queries of one process for an account and address to as many as could be allowed.
_slots: WeakValueDictionary[tuple[bytes, str], asyncio.Semaphore] = WeakValueDictionary()


@asynccontextmanager
async def counted_guess(database: Database, *, email: str, ip_address: str) -> AsyncIterator[None]:
    """Count a guess before the block checks it; the right password clears the failures from this address.

    The guess stays counted if the block raises InvalidCredentials or InvalidCurrentPassword. Any other error does not
    reveal whether the password was right, so the guess is discarded.

    Args:
        database: Where guesses are counted.
        email: The address to sign in with, whether or not there is an account.
        ip_address: The network address, as limits count it (`limit_identity`).

    Raises:
        AccountLocked: This address must wait; `Retry-After` says for how many seconds.
    """
    account = account_hash(email)
    autocommit = database.autocommit  # each statement is a transaction of its own
    async with _slots.setdefault((account, ip_address), asyncio.Semaphore(FREE_GUESSES)):
        guess_id = await _count(database, email=email, ip_address=ip_address)
        try:
            yield
        except (InvalidCredentials, InvalidCurrentPassword):
            await autocommit.rows(_WRONG, {"guess": guess_id})
            raise
        except Exception:
            await autocommit.rows(_UNCHECKED, {"guess": guess_id})
            raise
        await autocommit.rows(_RIGHT, {"guess": guess_id, "account": account, "address": ip_address})


async def _count(database: Database, *, email: str, ip_address: str) -> UUID:
    """Count the guess, and return its id once it may be checked; the wait is bounded by the request's deadline.

    Raises:
        AccountLocked
    """
    guess_id, known = new_id(), False
    while True:
        values = {"guess": guess_id, "account": account_hash(email), "address": ip_address, "known": known}
        counted = await database.autocommit.row(_COUNT, {**_RULES, **values}) or _BUSY
        if counted.outcome == "counted":
            return guess_id
        if counted.outcome == "locked from elsewhere":
            used = await repository.addresses_used_by(database, email)
            known = ip_address in map(limit_identity, used)
        if counted.outcome == "locked" or (counted.outcome == "locked from elsewhere" and not known):
            raise AccountLocked(retry_after_seconds=math.ceil(counted.seconds))
        if counted.outcome == "busy":
            await asyncio.sleep(_POLL_SECONDS)
