"""Wrong passwords slow guessing down, by account and address together.

After five wrong passwords for an account from one address, that address waits: 30 seconds, then twice as long after
each further one, up to fifteen minutes. A hundred from anywhere make every address wait that the owner has not signed
in from, for the rest of the fifteen minutes. Addresses without an account are treated alike: nothing tells them apart.

A guess is counted, by a committed row, before it is checked: so many that are made at once gain nothing, in whatever
processes. One that may yet turn out right is not held against the others: they wait until it has.
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
CHECKED_WITHIN = timedelta(seconds=10)  # longer than any request may take; what is older was broken off
_POLL_SECONDS = 0.05
_RULES = {
    "free_here": FREE_GUESSES,
    "free_anywhere": FREE_GUESSES_FROM_ANYWHERE,
    "first_wait": FIRST_WAIT,
    "guess_window": WINDOW,
    "checked_within": CHECKED_WITHIN,
}


class _Counted(Row):
    """What became of a guess: "counted", "busy", "locked" or "locked from elsewhere"; the wait of a locked one."""

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
# The right password clears what was guessed from here, but for what others are guessing at this moment.
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

# In one process, no more of an account and address ask the database than could be allowed.
_slots: WeakValueDictionary[tuple[bytes, str], asyncio.Semaphore] = WeakValueDictionary()


@asynccontextmanager
async def counted_guess(database: Database, *, email: str, ip_address: str) -> AsyncIterator[None]:
    """Count a guess before the block checks it; the right password clears what was guessed from here.

    The guess stays counted if the block raises InvalidCredentials or InvalidCurrentPassword. Any other error told
    nobody whether it was right, so it counts no more.

    Args:
        database: Where guesses are counted.
        email: Of the account, if there is one.
        ip_address: What limits count by (`limit_identity`).

    Raises:
        AccountLocked: This address must wait; `Retry-After` says how long.
    """
    account = account_hash(email)
    alone = database.autocommit  # each of these is a transaction, and ends before the next begins
    async with _slots.setdefault((account, ip_address), asyncio.Semaphore(FREE_GUESSES)):
        guess_id = await _count(database, email=email, ip_address=ip_address)
        try:
            yield
        except (InvalidCredentials, InvalidCurrentPassword):
            await alone.rows(_WRONG, {"guess": guess_id})
            raise
        except Exception:
            await alone.rows(_UNCHECKED, {"guess": guess_id})
            raise
        await alone.rows(_RIGHT, {"guess": guess_id, "account": account, "address": ip_address})


async def _count(database: Database, *, email: str, ip_address: str) -> UUID:
    """The id of the guess, once it may be checked; waiting ends with the request's own deadline.

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
