"""The moderation lock, which serialises acts that change many rows."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.infra.db.unit_of_work import UnitOfWork

# The key is an arbitrary number. Merges, removals and bans are rare. Under the lock, merge chains do not change, nor do
# the votes of a user whose row is locked as well. So an act knows all bugs that it changes, and can lock them in the
# order of their ids.
_LOCK = text("SELECT pg_advisory_xact_lock(7203472)")


async def acquire_moderation_lock(work: UnitOfWork) -> None:
    """Acquire the lock until the transaction ends; must come before any lock of a row."""
    await work.session.execute(_LOCK)


async def begin_act(work: UnitOfWork, admin_id: UUID) -> None:
    """Acquire the moderation lock and lock the acting admin's row.

    Raises:
        AccountBanned
    """
    await acquire_moderation_lock(work)
    await lock_active_user(work, admin_id)
